"""The engine's handle, over real actors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors import RiskEngine
from actors.calls import EngineNotFound
from actors.handle import EngineClosed, EngineRunsAlready
from audit.closes import result_of
from audit.digests import Digests, Named
from audit.queries import RecordQuery
from audit.records import EventType
from engine.errors import BrokerError, IdempotencyConflict, UnknownAccount
from engine.models import CloseResult, GuardTrigger, GuardType, PositionRef
from engine.outcomes import Outcome
from tests.cluster.conftest import EngineStarter, actors_of
from tests.cluster.replaying import PRICES, account, path

Desk = tuple[RiskEngine, Iterator[int]]


@pytest.fixture(scope="module")
def shared_engine(
    new_engine: EngineStarter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RiskEngine]:
    """One engine for tests that leave each other's positions alone."""
    folder = tmp_path_factory.mktemp("shared-engine")
    with new_engine(folder, deal_lag_s=0.2) as engine:
        engine.share(PRICES, path(1.10, 1.09, 1.08))
        engine.add_accounts(
            [account("desk", 40), account("whole"), account("slow", latency_ms=150)]
        )
        yield engine


@pytest.fixture(scope="module")
def tickets(shared_engine: RiskEngine) -> Iterator[int]:
    """Hand out each open position of ``desk`` once."""
    return iter([position.ticket for position in shared_engine.book("desk").positions])


@pytest.fixture
def ticket(tickets: Iterator[int]) -> int:
    return next(tickets)


def close(engine: RiskEngine, ticket: int, **more: str) -> CloseResult:
    return engine.close_position(
        f"p{ticket}", ticket, "desk", "test", idempotency_key=more.get("key")
    )


def trigger(user_id: str, *tickets: int, **more: str) -> GuardTrigger:
    scope = tuple(PositionRef(f"p{ticket}", ticket) for ticket in tickets) if tickets else None
    made = GuardTrigger(user_id, GuardType.DRAWDOWN, "equity fell", positions=scope)
    return replace(made, **more)  # type: ignore[arg-type]


def is_open(engine: RiskEngine, ticket: int) -> bool:
    return ticket in {position.ticket for position in engine.book("desk").positions}


def test_a_second_engine_in_the_namespace_is_refused(shared_engine: RiskEngine) -> None:
    namespace = shared_engine.calls.namespace
    with pytest.raises(EngineRunsAlready, match=namespace):
        RiskEngine.start(namespace=namespace)
    assert shared_engine.accounts() == ["desk", "whole", "slow"]


def test_a_running_engine_is_found_again(shared_engine: RiskEngine) -> None:
    again = RiskEngine.attach(namespace=shared_engine.calls.namespace)
    assert again.accounts() == ["desk", "whole", "slow"]


def test_where_none_runs_none_is_found(shared_engine: RiskEngine) -> None:
    with pytest.raises(EngineNotFound, match="namespace='nobody'"):
        RiskEngine.attach(namespace="nobody")


def test_an_account_that_exists_is_refused(shared_engine: RiskEngine) -> None:
    with pytest.raises(ValueError, match="user_id='desk'"):
        shared_engine.add_account(account("desk"))


def test_an_account_without_broker_is_not_added(shared_engine: RiskEngine) -> None:
    with pytest.raises(BrokerError, match="lots"):
        shared_engine.add_account(account("poor", deposit=1.0))
    assert "poor" not in shared_engine.accounts()
    assert "account:poor" not in actors_of(shared_engine.calls.namespace)


def test_an_unknown_account_is_named(shared_engine: RiskEngine) -> None:
    with pytest.raises(UnknownAccount, match="'nobody'"):
        shared_engine.close_position("p", 1, "nobody", "test")
    with pytest.raises(UnknownAccount, match="'nobody'"):
        shared_engine.submit(trigger("nobody"))
    with pytest.raises(UnknownAccount, match="'nobody'"):
        shared_engine.remove_account("nobody")


def test_an_added_account_is_closed_and_let_go(engine: RiskEngine) -> None:
    engine.share(PRICES, path(1.10, 1.09))
    activated = engine.add_account(account("ann", 1))
    assert (activated.user_id, activated.currency, activated.open_positions) == ("ann", "USD", 1)
    assert engine.accounts() == ["ann"]
    engine.remove_account("ann")
    assert engine.accounts() == []
    assert "account:ann" not in actors_of(engine.calls.namespace)
    with pytest.raises(UnknownAccount):
        engine.book("ann")


def test_what_a_trigger_closed_is_on_disk_when_its_result_is_there(
    shared_engine: RiskEngine,
) -> None:
    trigger_id = shared_engine.submit(trigger("whole", trigger_id="whole-1"))
    assert trigger_id == "whole-1"
    bulk = shared_engine.result(trigger_id, timeout=60)
    assert (bulk.total_positions, bulk.successful_closes, bulk.failed_closes) == (3, 3, 0)
    assert bulk.close_reason == "drawdown: equity fell"
    # Bought at 1.10010, sold at 1.10000: a point and the contract's 10,000 units each.
    assert [(r.closed_price, r.pnl) for r in bulk.results] == [(1.10, -1.0)] * 3
    assert bulk.total_pnl == -3.0
    assert all(result.durable for result in bulk.results)
    assert shared_engine.book("whole").positions == ()
    query = RecordQuery(trigger_id=trigger_id, event_types=(EventType.POSITION_CLOSED,))
    stored = [result_of(record) for record in shared_engine.records(query)]
    assert sorted(stored, key=lambda r: r.ticket) == sorted(bulk.results, key=lambda r: r.ticket)


def test_a_repeated_success_is_the_identical_result(shared_engine: RiskEngine, ticket: int) -> None:
    first, again = close(shared_engine, ticket), close(shared_engine, ticket)
    assert first.success
    assert first.durable
    assert again == first


def test_a_repeated_failure_is_the_identical_result(shared_engine: RiskEngine) -> None:
    first, again = close(shared_engine, 999_999), close(shared_engine, 999_999)
    assert (first.success, first.outcome) == (False, Outcome.NOT_FOUND)
    assert first.error_message
    assert first.durable
    assert again == first


def test_a_full_success_answers_another_key(shared_engine: RiskEngine, ticket: int) -> None:
    first = close(shared_engine, ticket, key="one")
    assert close(shared_engine, ticket, key="two") == first


def test_a_failure_is_final_for_its_own_key_only(shared_engine: RiskEngine) -> None:
    first = close(shared_engine, 999_998, key="one")
    second = close(shared_engine, 999_998, key="two")
    assert (first.outcome, second.outcome) == (Outcome.NOT_FOUND, Outcome.NOT_FOUND)
    assert first.close_id != second.close_id


def test_a_key_for_another_request_is_a_conflict(
    shared_engine: RiskEngine, tickets: Iterator[int]
) -> None:
    one, other = next(tickets), next(tickets)
    shared_engine.close_position("the-same", one, "desk", "test")
    with pytest.raises(IdempotencyConflict) as caught:
        shared_engine.close_position("the-same", other, "desk", "test")
    assert type(caught.value) is IdempotencyConflict
    assert is_open(shared_engine, other)


def test_a_trigger_id_for_another_scope_is_a_conflict(
    shared_engine: RiskEngine, tickets: Iterator[int]
) -> None:
    one, other = next(tickets), next(tickets)
    shared_engine.submit(trigger("desk", one, trigger_id="scoped"))
    with pytest.raises(IdempotencyConflict):
        shared_engine.submit(trigger("desk", other, trigger_id="scoped"))
    assert shared_engine.submit(trigger("desk", one, trigger_id="scoped")) == "scoped"
    assert shared_engine.result("scoped", timeout=60).successful_closes == 1
    assert is_open(shared_engine, other)


def test_a_part_and_then_the_rest_are_closed(shared_engine: RiskEngine, ticket: int) -> None:
    part = shared_engine.close_partial(f"p{ticket}", ticket, "desk", 0.04, "test")
    assert (part.success, part.outcome, part.volume) == (True, Outcome.PARTIAL, 0.04)
    rest = close(shared_engine, ticket)
    assert (rest.success, rest.outcome, rest.volume) == (True, Outcome.DONE, 0.06)
    assert not is_open(shared_engine, ticket)


def test_a_guards_close_carries_its_reason(shared_engine: RiskEngine, ticket: int) -> None:
    result = shared_engine.close_position_if_triggered(
        f"p{ticket}", "margin level 40 %", "margin", "desk", {"ticket": ticket}
    )
    assert (result.success, result.close_reason) == (True, "margin: margin level 40 %")


def test_entries_of_a_bulk_call_fail_on_their_own(
    shared_engine: RiskEngine, tickets: Iterator[int]
) -> None:
    one, other = next(tickets), next(tickets)
    bulk = shared_engine.close_all_positions(
        "desk",
        "test",
        [
            {"position_id": f"p{one}", "ticket": one},
            {"position_id": "broken", "ticket": -1},
            {"position_id": f"p{other}", "ticket": other},
        ],
    )
    assert (bulk.total_positions, bulk.successful_closes, bulk.failed_closes) == (3, 2, 1)
    failed = [result for result in bulk.results if not result.success]
    assert [result.position_id for result in failed] == ["broken"]
    assert "ticket=-1" in str(failed[0].error_message)


def test_an_empty_list_closes_nothing(shared_engine: RiskEngine) -> None:
    before = shared_engine.book("desk").positions
    assert shared_engine.close_all_positions("desk", "test", []).total_positions == 0
    assert shared_engine.book("desk").positions == before


def test_a_single_close_after_a_bulk_close_is_the_same_result(
    shared_engine: RiskEngine, ticket: int
) -> None:
    bulk = shared_engine.close_all_positions(
        "desk", "bulk", [{"position_id": f"p{ticket}", "ticket": ticket}]
    )
    assert close(shared_engine, ticket) == bulk.results[0]


def test_a_result_that_takes_too_long_is_a_timeout_and_comes_later(
    shared_engine: RiskEngine,
) -> None:
    trigger_id = shared_engine.submit(trigger("slow"))
    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        shared_engine.result(trigger_id, timeout=0.05)
    assert shared_engine.result(trigger_id, timeout=60).successful_closes == 3


def test_an_unknown_trigger_id_has_no_result(shared_engine: RiskEngine) -> None:
    with pytest.raises(KeyError, match="never-submitted"):
        shared_engine.result("never-submitted", timeout=60)


def test_the_status_counts_what_was_done(shared_engine: RiskEngine, ticket: int) -> None:
    before = shared_engine.status()
    shared_engine.result(shared_engine.submit(trigger("desk", ticket)), timeout=60)
    after = shared_engine.status()
    assert [account.user_id for account in after.accounts] == ["desk", "whole", "slow"]
    assert {account.incarnation for account in after.accounts} == {1}
    assert after.episodes_open == 0
    assert after.episodes_finished == before.episodes_finished + 1
    assert after.positions_closed == before.positions_closed + 1
    assert after.alarms == ()


def test_records_are_chosen_counted_and_verified(shared_engine: RiskEngine, ticket: int) -> None:
    before = shared_engine.count_records()
    result = close(shared_engine, ticket)
    (record,) = shared_engine.records(RecordQuery(close_id=result.close_id))
    assert (record.user_id, record.position_id, record.closed_price) == (
        "desk",
        f"p{ticket}",
        result.closed_price,
    )
    assert shared_engine.count_records() == before + 3, "accepted, closed, finished"
    assert shared_engine.verify_records() is None
    report = shared_engine.trail().verification(user_id="desk")
    assert report.ok
    assert 0 < report.records <= before + 3
    another = Digests(named={"account:desk:1": {1: Named(b"x" * 32, 1)}})
    damaged = shared_engine.trail().verification(digests=another).problem
    assert damaged is not None
    assert (damaged.stream, damaged.seq) == ("account:desk:1", 1)


def test_guards_close_what_they_watch(engine: RiskEngine) -> None:
    # 10 lots at a deposit of 100,000: every cent of the price is 10,000, a tenth.
    engine.share(PRICES, path(1.100, 1.095, 1.085, 1.075, 1.065))
    engine.add_account(account("ann", 2, lots=5.0))
    engine.watch()
    (trigger_id,) = engine.watched_out(timeout=60)
    bulk = engine.result(trigger_id, timeout=60)
    assert [result.closed_price for result in bulk.results] == [1.075, 1.075]
    kinds = [record.event_type for record in engine.records(RecordQuery(user_id="ann"))]
    assert EventType.GUARD_ALERT in kinds
    (status,) = engine.status().accounts
    assert status.state == "flat"


def test_a_shutdown_leaves_no_actor_and_a_store_that_opens(
    new_engine: EngineStarter, tmp_path: Path
) -> None:
    with new_engine(tmp_path) as engine:
        namespace = engine.calls.namespace
        engine.share(PRICES, path(1.10))
        engine.add_account(account("ann", 1))
        trigger_id = engine.submit(trigger("ann"))
        engine.shutdown()
        assert actors_of(namespace) == []
        with pytest.raises(EngineNotFound):
            RiskEngine.attach(namespace=namespace)
    with new_engine(tmp_path) as again:
        query = RecordQuery(trigger_id=trigger_id, event_types=(EventType.POSITION_CLOSED,))
        assert [record.pnl for record in again.records(query)] == [-1.0]


def test_a_handle_that_was_shut_down_says_so_and_starts_no_ray_of_its_own(
    new_engine: EngineStarter, tmp_path: Path
) -> None:
    with new_engine(tmp_path) as engine:
        engine.shutdown()
        engine.shutdown()
        for call in (engine.accounts, engine.status, engine.verify_records):
            with pytest.raises(EngineClosed, match="start\\(\\) or attach\\(\\)"):
                call()
