from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import decode, encode, encode_anything
from audit.chain import ChainWriter
from audit.closes import close_record, evidence_of, result_of
from audit.events import close_accepted, mandate_of, trigger_accepted, trigger_of
from audit.records import record_of
from audit.rows import record_of_row, row_of, sealed_of
from engine.brokers.port import ClosedBy, Deal, DealEntry, Side
from engine.mandates import DirectClose
from engine.models import (
    Attempt,
    CloseEvidence,
    CloseResult,
    GuardTrigger,
    GuardType,
    PositionRef,
    Severity,
)
from engine.outcomes import Outcome, Verdict

_text = st.text(max_size=30)
_name = _text.filter(lambda text: bool(text.strip()))
_real = st.floats(allow_nan=False)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_whole = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1)
_time_us = st.integers(min_value=0, max_value=4_000_000_000_000_000)
_moment = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy wants it naive
_json = st.recursive(
    st.none() | st.booleans() | _whole | _finite | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_details = st.dictionaries(_text, _json, max_size=4)
_results = st.builds(
    CloseResult,
    success=st.booleans(),
    position_id=_text,
    ticket=_whole,
    closed_price=st.none() | _real,
    pnl=st.none() | _real,
    close_reason=_text,
    close_timestamp=_moment,
    error_message=st.none() | _text,
    close_id=_text,
    outcome=st.sampled_from(Outcome),
    attempts=st.integers(0, 1000),
    volume=_real,
    durable=st.booleans(),
)
_attempts = st.builds(
    Attempt,
    number=st.integers(1, 100),
    sent_us=_time_us,
    answered_us=_time_us,
    verdict=st.sampled_from(Verdict),
    code=_whole,
    text=_text,
    volume_asked=_real,
    volume=_real,
    price=_real,
    order=_whole,
    deal=_whole,
    details=_details,
)
_deals = st.builds(
    Deal,
    ticket=_whole,
    order=_whole,
    identifier=_whole,
    symbol=_text,
    entry=st.sampled_from(DealEntry),
    side=st.sampled_from(Side),
    volume=_real,
    price=_real,
    profit=_real,
    commission=_real,
    swap=_real,
    fee=_real,
    comment=_text,
    closed_by=st.sampled_from(ClosedBy),
    time_ms=_whole,
)
_evidence = st.builds(
    CloseEvidence,
    key=_text,
    fingerprint=_text,
    initiator=_text,
    trigger_id=_text,
    position=_text,
    symbol=_text,
    side=st.none() | st.sampled_from(Side),
    volume_before=_real,
    attempts=st.lists(_attempts, max_size=3).map(tuple),
    deals=st.lists(_deals, max_size=2).map(tuple),
    closed_by=_text,
)
_positions = st.none() | st.lists(
    st.builds(PositionRef, _name, st.integers(1, 2**63 - 1)), max_size=3
).map(tuple)
_positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
_direct_closes = st.builds(
    DirectClose,
    episode_id=_name,
    user_id=_name,
    reason=_name,
    positions=_positions,
    key=st.none() | _name,
    volume=st.none() | _positive,
    close_price=st.none() | _positive,
    initiator=_name,
)
_triggers = st.builds(
    GuardTrigger,
    user_id=_name,
    guard=st.sampled_from(GuardType),
    reason=_name,
    severity=st.sampled_from(Severity),
    positions=_positions,
    trigger_id=_name,
    triggered_at=_moment,
    inputs=_details,
)


@given(_json)
def test_canonical_form_is_a_fixed_point(value: object) -> None:
    text = encode(value)
    assert decode(text) == value
    assert encode(decode(text)) == encode_anything(value) == text


@given(_results, _evidence, _name)
def test_result_and_evidence_survive_record_body_and_row(
    result: CloseResult, evidence: CloseEvidence, user_id: str
) -> None:
    made = close_record(result, evidence, user_id=user_id)
    assert result_of(made) == replace(result, durable=True)
    sealed = ChainWriter("account:u1:1").seal(made)
    for back in (record_of(sealed.body), record_of_row(row_of(sealed, 1, False))):
        assert result_of(back) == replace(result, durable=True)
        assert evidence_of(back) == evidence


@given(_triggers, _time_us)
def test_a_trigger_survives_its_record(trigger: GuardTrigger, occurred_at: int) -> None:
    sealed = ChainWriter("supervisor:1").seal(trigger_accepted(trigger, occurred_at=occurred_at))
    assert trigger_of(record_of(sealed.body)) == trigger
    row = row_of(sealed, occurred_at, False)
    assert sealed_of(row) == sealed


@given(_triggers | _direct_closes, _time_us)
def test_what_opened_an_episode_survives_its_record(
    mandate: GuardTrigger | DirectClose, occurred_at: int
) -> None:
    if isinstance(mandate, GuardTrigger):
        accepted = trigger_accepted(mandate, occurred_at=occurred_at)
    else:
        accepted = close_accepted(mandate, occurred_at=occurred_at)
    sealed = ChainWriter("supervisor:1").seal(accepted)
    assert mandate_of(record_of(sealed.body)) == mandate
    assert sealed_of(row_of(sealed, occurred_at, False)) == sealed
