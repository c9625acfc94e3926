"""Concluding: an episode that waited for its market is let go, and ends as it is."""

from __future__ import annotations

import pickle
from dataclasses import replace

from actors.mandated import refusals_in
from actors.messages import CloseReply
from engine.models import BulkCloseResult

RELEASED = "the account was released while it was open"
"""Why an episode ended as it was."""


def with_what_waited(earlier: CloseReply | None, last: CloseReply) -> CloseReply:
    """Add to an account's last answer what only the one before it told.

    What a life was merely refused stands at no broker: if it dies, the next one knows nothing of
    it, and its positions would stand in no result.
    """
    if earlier is None:
        return last
    before, now = _results_of(earlier), _results_of(last)
    told = {result.ticket for result in now.results}
    untold = [result for result in before.results if result.ticket not in told]
    if not untold:
        return last
    added = BulkCloseResult.of(before.close_reason, untold)
    whole = BulkCloseResult.of(before.close_reason, [*now.results, *untold])
    return replace(
        last,
        results=pickle.dumps(whole, protocol=5),
        closed=last.closed + added.successful_closes,
        failed=last.failed + added.failed_closes,
        closes=(*last.closes, *(result.close_id for result in untold)),
        refused=(*last.refused, *refusals_in(added)),
    )


def _results_of(reply: CloseReply) -> BulkCloseResult:
    results = pickle.loads(reply.results)
    assert isinstance(results, BulkCloseResult)
    return results
