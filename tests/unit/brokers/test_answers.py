"""The table of answers against the specification, which stands here once more, independently."""

from __future__ import annotations

import pytest

from engine.brokers.answers import LAST_ERRORS, RETCODES, classify_error, classify_retcode
from engine.outcomes import Verdict

EXPECTED = {
    Verdict.DONE: {10009},
    Verdict.PARTIAL: {10010},
    Verdict.ACCEPTED: {10008},
    Verdict.MAYBE_MET: {10036, 10039, 10013, 10025, 10035},
    Verdict.RETRY_NOW: {10004, 10015, 10020, 10021},
    Verdict.BACK_OFF: {10023, 10024, 10028, 10029, 10006, 10007},
    Verdict.SETTLE_FIRST: {10031},
    Verdict.MARKET_CLOSED: {10018},
    Verdict.UNKNOWN: {10011, 10012},
    Verdict.MEND: {10014, 10016, 10022, 10030, 10038},
    Verdict.OLDEST_FIRST: {10045},
    Verdict.OPERATOR: {
        *(10017, 10019, 10026, 10027, 10032, 10033, 10034),
        *(10040, 10041, 10042, 10043, 10044, 10046),
    },
}
ROWS = [(code, verdict) for verdict, codes in EXPECTED.items() for code in sorted(codes)]


@pytest.mark.parametrize(("code", "verdict"), ROWS)
def test_a_listed_retcode_has_its_verdict_and_a_reason(code: int, verdict: Verdict) -> None:
    meaning = classify_retcode(code)
    assert meaning.verdict is verdict
    assert len(meaning.reason) > 3


def test_no_other_code_is_listed() -> None:
    assert set(RETCODES) == {code for code, _ in ROWS}


@pytest.mark.parametrize("code", [10005, 10037, 10000, 10047, 0, -1, 99999])
def test_an_unlisted_retcode_is_unknown_and_named(code: int) -> None:
    meaning = classify_retcode(code)
    assert meaning.verdict is Verdict.UNKNOWN
    assert str(code) in meaning.reason


@pytest.mark.parametrize("code", sorted(EXPECTED[Verdict.OPERATOR]))
def test_what_an_operator_must_do_is_said(code: int) -> None:
    reason = classify_retcode(code).reason
    assert any(
        hint in reason
        for hint in ("ask the broker", "close", "switch on", "add funds", "use such", "look at it")
    )


@pytest.mark.parametrize("code", [-1, -10000, -10001, -10002, -10003, -10004, -10005])
def test_a_lost_answer_is_unknown(code: int) -> None:
    meaning = classify_error(code, "IPC", sent=True)
    assert meaning.verdict is Verdict.UNKNOWN
    assert str(code) in meaning.reason


@pytest.mark.parametrize("code", [-3, -4, -5, -6, -7, -9, -9999, -10006, 0, 1, 10009])
def test_an_unlisted_error_is_unknown(code: int) -> None:
    assert classify_error(code, "", sent=True).verdict is Verdict.UNKNOWN


def test_an_argument_that_the_binding_refused_was_not_sent() -> None:
    meaning = classify_error(-2, 'Invalid "volume" argument', sent=True)
    assert meaning.verdict is Verdict.NOT_SENT
    assert "volume" in meaning.reason


@pytest.mark.parametrize("text", ["", "Invalid params", 'Invalid "volume"', "Terminal: Invalid"])
def test_another_minus_two_proves_nothing(text: str) -> None:
    assert classify_error(-2, text, sent=True).verdict is Verdict.UNKNOWN


def test_a_disabled_api_was_not_sent_and_tells_where_to_allow_it() -> None:
    meaning = classify_error(-8, "AutoTrading disabled", sent=True)
    assert meaning.verdict is Verdict.NOT_SENT
    assert "options" in meaning.reason


@pytest.mark.parametrize("code", [-10004, -1, -10002, 77])
def test_what_fails_before_the_send_was_not_sent(code: int) -> None:
    assert classify_error(code, "No IPC connection", sent=False).verdict is Verdict.NOT_SENT


def test_the_errors_of_the_table_are_those_of_the_specification() -> None:
    assert set(LAST_ERRORS) == {-1, -8, *range(-10005, -9999)}
