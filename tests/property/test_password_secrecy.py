"""Whatever the password, and however a terminal's error quotes it: no error of ours shows it."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from engine.brokers import MT5Broker
from engine.brokers.bridge import BridgeCalls
from engine.errors import BrokerUnavailable
from tests.unit.brokers.scripted_terminal import LOGIN, ScriptedTerminal

# The letters around it keep a password from standing in our own messages by chance.
PASSWORDS = st.text(
    st.sampled_from("'\"\\\n\r\t\0n#§ßж\u200b\U0001f511") | st.characters(min_codepoint=0x80),
    min_size=1,
    max_size=12,
).map(lambda text: f"Zq{text}7")
QUOTINGS: list[Callable[[Any], str]] = [
    str,
    repr,
    ascii,
    json.dumps,
    lambda said: repr(repr(said)),
    lambda said: json.dumps(repr(said)),
]
quotings = st.sampled_from(QUOTINGS)


def forms(secret: str) -> set[str]:
    once = repr(secret)[1:-1]
    return {secret, once, repr(once)[1:-1], repr(repr(secret))[2:-2], json.dumps(secret)[1:-1]}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def assert_kept(error: BaseException, secret: str) -> None:
    shown = "".join(traceback.TracebackException.from_exception(error).format())
    for link in chain(error):
        shown += f"\n{link}\n{link!r}\n{link.args!r}"
    assert [form for form in forms(secret) if form in shown] == []


def raised_by(broker: MT5Broker, *, by_reading: bool = False) -> BrokerUnavailable:
    async def scene() -> None:
        if by_reading:
            await broker.connect()
            await broker.positions()
        else:
            await broker.connect()

    try:
        asyncio.run(scene())
    except BrokerUnavailable as error:
        return error
    raise AssertionError("nothing was raised")


class QuotingTerminal(ScriptedTerminal):
    """Quotes what ``initialize`` is called with, in one way or another."""

    def __init__(self, quote: Callable[[Any], str], *, how: str) -> None:
        super().__init__()
        self._quote = quote
        self._how = how
        self._said = ""

    def initialize(self, *_: Any, **arguments: Any) -> bool:
        self._said = self._quote(arguments)
        if self._how == "raise":
            raise TypeError(f"bad arguments {self._said}") from ValueError(arguments["password"])
        return self._how != "refuse"

    def positions_get(self, **_: Any) -> None:
        if self._how == "raise at a read":
            raise OSError(f"session {self._said} ended")

    def last_error(self) -> tuple[int, str]:
        return (-6, f"refused: {self._said}")


@given(password=PASSWORDS, quote=quotings, how=st.sampled_from(["raise", "refuse"]))
@example(password="it's\\x\"q", quote=repr, how="raise")
@example(password="a\nb", quote=str, how="raise")
def test_a_failed_login_never_shows_the_password(
    password: str, quote: Callable[[Any], str], how: str
) -> None:
    terminal = QuotingTerminal(quote, how=how)
    error = raised_by(MT5Broker(terminal, login=LOGIN, password=SecretStr(password)))
    assert_kept(error, password)
    assert (error.__cause__, error.__context__) == (None, None)


@given(
    password=PASSWORDS,
    quote=quotings,
    how=st.sampled_from(["raise at a read", "fail at a read"]),
)
def test_a_failed_read_never_shows_the_password(
    password: str, quote: Callable[[Any], str], how: str
) -> None:
    terminal = QuotingTerminal(quote, how=how)
    broker = MT5Broker(terminal, login=LOGIN, password=SecretStr(password))
    assert_kept(raised_by(broker, by_reading=True), password)


class QuotingClient:
    """A bridge's client whose error quotes the text that it could not evaluate."""

    def __init__(self, quote: Callable[[Any], str]) -> None:
        self._quote = quote

    def __call__(self, host: str, port: int, timeout: float) -> QuotingClient:
        return self

    def execute(self, code: str) -> None:
        return None

    def eval(self, text: str) -> str:
        raise EOFError(f"the server broke off in {self._quote(text)}")


@given(password=PASSWORDS, quote=quotings)
def test_a_bridge_that_quotes_the_call_never_shows_the_password(
    password: str, quote: Callable[[Any], str]
) -> None:
    bridge = BridgeCalls(host="127.0.0.1", port=5, client=QuotingClient(quote))
    broker = MT5Broker(bridge, login=LOGIN, password=SecretStr(password))

    async def scene() -> BrokerUnavailable | None:
        try:
            await broker.connect()
        except BrokerUnavailable as error:
            return error
        finally:
            await broker.disconnect()
        return None

    error = asyncio.run(scene())
    assert error is not None
    assert_kept(error, password)


def test_an_error_that_says_no_secret_stays_the_cause() -> None:
    terminal = ScriptedTerminal(positions_get=EOFError("stream closed"))
    broker = MT5Broker(terminal, login=LOGIN, password=SecretStr("another'secret"))
    error = raised_by(broker, by_reading=True)
    assert type(error.__cause__) is EOFError
