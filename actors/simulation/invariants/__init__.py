"""The engine's promises as checks over a run that is over: one named check for each."""

from __future__ import annotations

from actors.simulation.facts import Run
from actors.simulation.invariants.alarmed import (
    bound_is_alarmed,
    early_is_alarmed,
    reversal_is_alarmed,
    unsure_is_alarmed,
)
from actors.simulation.invariants.effective import closes_what_it_can
from actors.simulation.invariants.exactly_once import no_double_close, read_before_sending
from actors.simulation.invariants.explained import has_an_explanation
from actors.simulation.invariants.flat import lock_is_remembered, locked_is_flat, pending_first
from actors.simulation.invariants.idempotent import (
    conflicts_raised,
    identical_results,
    one_final_record,
    one_full_success,
    results_on_disk,
)
from actors.simulation.invariants.in_time import ends_in_time, resumes_in_time
from actors.simulation.invariants.nothing_lost import (
    accepted_is_finished,
    every_order_explained,
    flat_means_flat,
    residual_has_reason,
)
from actors.simulation.invariants.punctual import bounded, isolated, never_waits_for_bookkeeping
from actors.simulation.invariants.serial import no_resend_while_it_may_act, serial
from actors.simulation.invariants.trustworthy import (
    chains_whole,
    no_secrets,
    nothing_set_aside,
    sends_only_where_allowed,
    streams_whole,
)
from actors.simulation.invariants.violation import Check, Violation

CHECKS: tuple[Check, ...] = (
    serial,
    no_resend_while_it_may_act,
    read_before_sending,
    no_double_close,
    one_final_record,
    one_full_success,
    identical_results,
    conflicts_raised,
    results_on_disk,
    accepted_is_finished,
    closes_what_it_can,
    flat_means_flat,
    residual_has_reason,
    every_order_explained,
    never_waits_for_bookkeeping,
    isolated,
    bounded,
    ends_in_time,
    resumes_in_time,
    unsure_is_alarmed,
    early_is_alarmed,
    reversal_is_alarmed,
    bound_is_alarmed,
    locked_is_flat,
    lock_is_remembered,
    pending_first,
    chains_whole,
    streams_whole,
    nothing_set_aside,
    no_secrets,
    sends_only_where_allowed,
    has_an_explanation,
)


def violations_of(run: Run) -> list[Violation]:
    """Check every promise; returns what was broken, in the order of the checks."""
    return [violation for check in CHECKS for violation in check(run)]


__all__ = ["CHECKS", "Violation", "violations_of"]
