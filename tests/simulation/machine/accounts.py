"""What a story begins with: two accounts, and the weather on the network."""

from __future__ import annotations

from hypothesis import strategies as st

from actors.simulation.fault_kinds import Disturbance
from actors.simulation.network import Storm
from actors.simulation.portfolio import SYMBOLS, PlannedAccount, PlannedPosition

USERS = ("user-1", "user-2")
PLACES = 3
"""Positions that each account begins with."""
_STORMS = (
    Disturbance.MESSAGE_DELAYED,
    Disturbance.MESSAGE_REORDERED,
    Disturbance.REQUEST_LOST,
    Disturbance.REPLY_LOST,
    Disturbance.MESSAGE_DOUBLED,
)


@st.composite
def accounts(draw: st.DrawFn) -> tuple[PlannedAccount, ...]:
    """Draw the accounts: mostly hedging ones with play money."""
    return tuple(_account(draw, number, user_id) for number, user_id in enumerate(USERS))


def _account(draw: st.DrawFn, number: int, user_id: str) -> PlannedAccount:
    is_hedging = draw(st.sampled_from([True, True, False]))
    is_real, allow_live = draw(
        st.sampled_from(
            [(False, False), (False, False), (False, False), (True, True), (True, False)]
        )
    )
    return PlannedAccount(
        user_id=user_id,
        login=5_000 + number,
        is_hedging=is_hedging,
        is_real=is_real,
        allow_live=allow_live,
        positions=tuple(_position(draw, place, is_hedging) for place in range(PLACES)),
        is_fifo=is_hedging and draw(st.sampled_from([False, False, False, True])),
    )


def _position(draw: st.DrawFn, place: int, is_hedging: bool) -> PlannedPosition:
    symbol = draw(st.sampled_from(SYMBOLS)) if is_hedging else SYMBOLS[place]
    return PlannedPosition(
        symbol=symbol,
        sign=draw(st.sampled_from([1, -1])) if is_hedging else 1,
        volume=draw(st.sampled_from([0.1, 0.5, 0.03])),
        stop=draw(st.sampled_from([0.0, 0.0, 0.004])),
    )


@st.composite
def storms(draw: st.DrawFn) -> tuple[Storm, ...]:
    """Draw up to two times of trouble on the network."""
    return tuple(_storm(draw) for _ in range(draw(st.sampled_from([0, 0, 1, 2]))))


def _storm(draw: st.DrawFn) -> Storm:
    begins_s = draw(st.sampled_from([0.0, 2.0, 8.0]))
    return Storm(
        begins_s,
        begins_s + draw(st.sampled_from([3.0, 12.0])),
        draw(st.sampled_from(_STORMS)),
        draw(st.sampled_from([0.1, 0.3, 0.6])),
        draw(st.sampled_from([None, *USERS])),
    )
