"""Gathers what is known of a run when it is over."""

from __future__ import annotations

import asyncio

from actors.links import ActorLost
from actors.messages import EngineStatus
from actors.simulation.clients import Clients
from actors.simulation.clock import EPOCH_US
from actors.simulation.episodes_seen import follow_episodes
from actors.simulation.facts import AccountSeen, AlarmSeen, DealSeen, OpenSeen, Run
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.history import History
from actors.simulation.network import NobodyAnswered
from actors.simulation.plan import FAULTS_END_S
from actors.simulation.portfolio import PASSWORD, PlannedAccount
from actors.simulation.promptness import first_orders
from actors.simulation.untroubled import Troubles
from actors.simulation.world import World
from audit.chain import ChainHead, SealedRecord
from audit.intake import UNPROVEN
from audit.records import EventType, record_of
from audit.rows import EVENT_ID
from audit.verify import verify_store
from engine.errors import RiskEngineError

SECRET = "hunter2-of-the-simulation"  # put in as a password, to be looked for
_STORED_WITHIN_S = 60.0
_SWEPT_WITHIN_S = 20.0
_TRADES = (0, 1)
_OF_THE_JOURNAL = (
    Disturbance.JOURNAL_FULL.value,
    Disturbance.JOURNAL_SLOW.value,
    Disturbance.JOURNAL_FAILING.value,
)


async def gather_facts(world: World, clients: Clients, quiet_us: int | None) -> Run:
    """Let the store take the rest, and write down how everything stands."""
    locked = await _locks(clients)
    broken = await _shut_down(clients) if world.plan.seed % 4 == 0 else ""
    stored = await _wait_for_store(world)
    accounts = [
        account_seen(world, clients, planned, locked.get(planned.user_id))
        for planned in world.plan.accounts
    ]
    run = Run(
        seed=world.plan.seed,
        observes=world.plan.observes,
        accounts=accounts,
        calls=clients.calls,
        records=[record_of(sealed.body) for sealed in world.board.records.values()],
        calm_us=_calm_us(world),
        quiet_us=quiet_us,
        ended_us=round(world.time.seconds() * 1e6),
        clashes=world.board.clashes,
        accepted_us=dict(world.board.accepted_us),
    )
    run.crash = broken
    _look_at_history(world.history, run)
    troubles = Troubles(world.history)
    run.episodes, run.waits = follow_episodes(world.history, run.calm_us, _accepted(run))
    run.first_orders = list(first_orders(run, world.history, troubles))
    for call in run.calls:
        call.is_untroubled = call.ended_us is not None and not troubles.touched(
            call.user_id, call.begun_us, call.ended_us
        )
    _look_at_audit(world, run, stored)
    return run


def _accepted(run: Run) -> set[tuple[str, str]]:
    """Return account and name of every episode whose mandate was on disk."""
    return {
        (record.user_id, record.trigger_id or "")
        for record in run.records
        if record.event_type in (EventType.TRIGGER_ACCEPTED, EventType.CLOSE_ACCEPTED)
    }


def _calm_us(world: World) -> int:
    """Return when the last fault was over."""
    storms_us = (round(storm.ends_s * 1e6) for storm in world.plan.storms)
    calms_us = (event.at_us for event in world.history.of_kind("calm"))
    return max((*storms_us, *calms_us), default=round(FAULTS_END_S * 1e6))


def _look_at_history(history: History, run: Run) -> None:
    ill_since: dict[str, int] = {}
    for event in history:
        if event.kind == "alarm":
            alarm = AlarmSeen(event.at_us, event.facts["process"], event.facts["text"])
            run.alarms.append(alarm)
        elif event.kind in ("killed", "lost"):
            run.died_us.setdefault(event.facts["process"], event.at_us)
        elif event.kind == "disk" and event.facts["what"] in _OF_THE_JOURNAL:
            begun_us = ill_since.pop(event.facts["what"], None)
            if event.facts["on"]:
                ill_since[event.facts["what"]] = event.at_us if begun_us is None else begun_us
            elif begun_us is not None:
                run.journal_ill.append((begun_us, event.at_us))


async def _locks(clients: Clients) -> dict[str, str | None]:
    for _ in range(10):
        try:
            status = await clients.ask("status")
        except (ActorLost, RiskEngineError):
            await asyncio.sleep(1.0)
            continue
        assert isinstance(status, EngineStatus)
        return {account.user_id: account.locked_by for account in status.accounts}
    return {}


async def _shut_down(clients: Clients) -> str:
    """End the engine cleanly; returns what went wrong."""
    for _ in range(3):
        try:
            await clients.ask("shutdown")
        except NobodyAnswered:
            continue
        except (RiskEngineError, ValueError) as error:
            return f"shutdown() failed: {type(error).__name__}: {error}"
        return ""
    return "shutdown() was not answered"


async def _wait_for_store(world: World) -> bool:
    """Wait until the store has all; whether it has.

    And until no sweep is under way: an account that may not be sent to is swept for ever in vain.
    """
    end_s = world.time.seconds() + _STORED_WITHIN_S
    swept_s = world.time.seconds() + _SWEPT_WITHIN_S
    while world.time.seconds() < end_s:
        audit = world.audit()
        if audit is not None and audit.process.is_alive:
            status = audit.ledger.status()
            is_at_rest = all(state.is_final for state in world.board.states(""))
            is_time = is_at_rest or world.time.seconds() >= swept_s
            if is_time and not status.backlog and status.store_open:
                return True
        await asyncio.sleep(0.7)
    return False


def _look_at_audit(world: World, run: Run, stored: bool) -> None:
    audit = world.audit()
    if audit is None:
        run.chain_problem = "there is no audit actor at the end"
        return
    ledger = audit.ledger
    run.open_episodes = [episode.trigger_id for episode in ledger.open_episodes()]
    set_aside = ledger.set_aside()
    apart = [item.record for item in set_aside]
    run.apart = [(record.stream, record.seq) for record in apart]
    for item in set_aside:
        record = item.record
        if item.reason == UNPROVEN:
            continue  # a replaced life's opinion: whoever was told it, another check asks
        known = world.board.records.get(record.event_id)
        # Two lives may come to the same end: the later record is kept apart, and that is right.
        if known is None or known.stream == record.stream:
            run.set_aside.append(record.event_id)
    if not stored:
        run.chain_problem = f"the store was not filled: {ledger.status().last_error}"
        return
    store = world.disk.store
    held = {row[EVENT_ID] for row in (*store.rows, *store.rows_set_aside)}
    run.missing_from_store = [event for event in world.board.records if event not in held]
    run.unknown_in_store = sorted(held - set(world.board.records))
    if store.rows_set_aside:
        report = verify_store(store.with_rows_set_aside(), anchors=_heads(world), apart=apart)
    else:
        report = ledger.verify()
    run.chain_problem = "" if report.problem is None else str(report.problem)
    run.secrets_found = [
        event for event, sealed in world.board.records.items() if PASSWORD.encode() in sealed.body
    ]
    if PASSWORD in world.history.lines():
        run.secrets_found.append("in what clients were told")


def _heads(world: World) -> list[ChainHead]:
    """Return the last record of each stream that was acknowledged."""
    last: dict[str, SealedRecord] = {}
    for sealed in world.board.records.values():
        known = last.get(sealed.stream)
        if known is None or sealed.seq > known.seq:
            last[sealed.stream] = sealed
    return [ChainHead(sealed.stream, sealed.seq, sealed.hash) for sealed in last.values()]


def account_seen(
    world: World, clients: Clients, planned: PlannedAccount, locked_by: str | None
) -> AccountSeen:
    """Write down an account's book and requests as they stand at this moment."""
    venue = world.venues[planned.user_id]
    venue.catch_up()
    opened_us: dict[int, int] = {}
    for deal, at_us in zip(venue.terminal.book.deals, venue.deal_us, strict=True):
        opened_us.setdefault(deal.position_id, at_us)
    book = venue.terminal.book
    user_id = planned.user_id
    return AccountSeen(
        user_id=user_id,
        is_hedging=planned.is_hedging,
        may_be_sent_to=planned.may_be_sent_to,
        is_fifo=planned.is_fifo,
        deals=[
            DealSeen(
                user_id=user_id,
                ticket=deal.ticket,
                identifier=deal.position_id,
                entry=deal.entry,
                sign=1 if deal.type == 0 else -1,
                volume=deal.volume,
                price=deal.price,
                result=deal.profit + deal.commission + deal.swap + deal.fee,
                at_us=at_us,
                comment=deal.comment,
                reason=deal.reason,
                symbol=deal.symbol,
                order=deal.order,
            )
            for deal, at_us in zip(book.deals, venue.deal_us, strict=True)
            if deal.type in _TRADES and deal.symbol
        ],
        closes=list(venue.closes),
        open_positions=[
            OpenSeen(user_id, p.ticket, p.symbol, p.volume, opened_us[p.identifier])
            for p in book.positions.values()
        ],
        pending=[
            OpenSeen(user_id, o.ticket, o.symbol, o.volume, o.placed_ms * 1000 - EPOCH_US)
            for o in book.pending.values()
        ],
        pending_cancels=list(venue.pending_cancels),
        pending_placed=clients.pending_placed.get(user_id, []),
        locked_by=locked_by,
        aliases={ref.ticket: ref.position_id for ref in clients.refs[user_id]},
    )
