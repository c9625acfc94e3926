"""A process that runs an engine over a venue outside, to be killed with all that it has started.

Usage: ``python -m tests.chaos.engine_child PLAN``, where PLAN is a file of JSON: ``data_dir``,
``namespace``, ``settings`` of the engine, ``accounts`` (options of their brokers, by user) and
``steps``, done in order. Each answer is printed as one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import actors.handle
from actors import RiskEngine
from actors.calls import Call
from actors.links import ActorLost
from engine.brokers.account_spec import AccountSpec
from engine.config import EngineConfig
from engine.errors import RiskEngineError
from engine.models import CloseResult, GuardTrigger, GuardType
from engine.simulated.served.process import BROKER

_REPEATED = [0]


def main(plan: Mapping[str, Any]) -> None:
    """Carry out the plan's steps."""
    _count_repetitions()
    config = EngineConfig(data_dir=plan["data_dir"], mode="enforce", **plan["settings"])
    with RiskEngine.start(config, address="local", namespace=plan["namespace"]) as engine:
        for user_id, options in plan["accounts"].items():
            _add(engine, AccountSpec(user_id=user_id, broker=BROKER, options=options))
        for name, *arguments in plan["steps"]:
            print(json.dumps(_STEPS[name](engine, *arguments)), flush=True)


def _count_repetitions() -> None:
    handle: Any = actors.handle
    decide = handle.is_worth_repeating

    def counted(call: Call[Any], error: Exception, lost_for_s: float) -> bool:
        _REPEATED[0] += 1
        return bool(decide(call, error, lost_for_s))

    handle.is_worth_repeating = counted


def _add(engine: RiskEngine, spec: AccountSpec) -> None:
    """Add an account, also if the reply is lost: that call is not repeated by itself."""
    for _ in range(20):
        if spec.user_id in engine.accounts():
            return
        try:
            engine.add_account(spec)
        except (ActorLost, ValueError):
            continue
    assert spec.user_id in engine.accounts()


def _close(engine: RiskEngine, user_id: str, ticket: int, key: str) -> dict[str, Any]:
    done = engine.close_position(f"p{ticket}", ticket, user_id, "test", idempotency_key=key)
    return _plain(done)


def _close_some(
    engine: RiskEngine, user_id: str, tickets: list[int], key: str
) -> list[dict[str, Any]]:
    refs = [{"position_id": f"p{ticket}", "ticket": ticket} for ticket in tickets]
    bulk = engine.close_all_positions(user_id, "test", refs, idempotency_key=key)
    return [_plain(result) for result in bulk.results]


def _misuse(
    engine: RiskEngine, user_id: str, position_id: str, ticket: int, key: str, volume: float | None
) -> str:
    """Use a key for something else; the answer names the error."""
    try:
        if volume is None:
            engine.close_position(position_id, ticket, user_id, "test", idempotency_key=key)
        else:
            engine.close_partial(position_id, ticket, user_id, volume, "test", idempotency_key=key)
    except RiskEngineError as error:
        return type(error).__name__
    return "nothing was raised"


def _submit(engine: RiskEngine, *names: str) -> list[str]:
    """Trigger accounts; each trigger has its account's name."""
    now = datetime.now(UTC)
    return engine.submit_many(
        [
            GuardTrigger(name, GuardType.OPERATOR, "test", trigger_id=name, triggered_at=now)
            for name in names
        ]
    )


def _result(engine: RiskEngine, name: str) -> list[dict[str, Any]]:
    return [_plain(result) for result in engine.result(name, timeout=90).results]


def _wait(engine: RiskEngine) -> None:
    """Live until killed; without standard input there is nothing to wait for."""
    assert not sys.stdin.read(), "only the end of standard input is expected"


def _repeated(engine: RiskEngine) -> int:
    return _REPEATED[0]


def _verify(engine: RiskEngine) -> str | None:
    return engine.verify_records()


def _plain(result: CloseResult) -> dict[str, Any]:
    return {**asdict(result), "close_timestamp": result.close_timestamp.isoformat()}


_STEPS: Mapping[str, Callable[..., Any]] = {
    "close": _close,
    "close some": _close_some,
    "misuse": _misuse,
    "submit": _submit,
    "result": _result,
    "wait": _wait,
    "repeated": _repeated,
    "verify": _verify,
}

if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
