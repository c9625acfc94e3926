"""How one account's broker is reached, as data that travels and stands in files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NoReturn

LOOPBACK = "127.0.0.1"
BRIDGE_PORT = 18812
"""Where the bridge's server listens unless told otherwise."""

_TERMINALS = ("mt5", "mt5linux")
_OF_A_TERMINAL = ("host", "port", "login", "server", "path", "password_env", "password_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSpec:
    """One user account and the one way to its broker.

    Either ``broker`` names your own (see ``docs/brokers.md``), or ``terminal`` says how a
    MetaTrader 5 terminal is reached (see ``docs/mt5.md``). From a file or another program's
    data, build it with ``pydantic.TypeAdapter(AccountSpec).validate_python(...)``.

    Raises:
        ValueError: A field has a value that is not allowed, or does not go with another. The
            message names both.
    """

    # Read by pydantic where a specification comes from outside: a misspelt field is an error,
    # and errors do not quote the input, for options may hold secrets.
    __pydantic_config__: ClassVar[dict[str, object]] = {
        "extra": "forbid",
        "hide_input_in_errors": True,
    }

    user_id: str
    broker: str | None = None
    """Your own broker, ``"package.module:factory"``; called as ``factory(user_id, **options)``."""
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    """Keyword arguments of the factory; kept out of ``repr``, for they may hold secrets."""
    terminal: Literal["mt5", "mt5linux"] | None = None
    """``mt5``: on this Windows machine; ``mt5linux``: through a bridge to Wine or Windows."""
    host: str | None = None
    """Of the bridge; this machine if ``None``. Anything but loopback is a risk: use a tunnel."""
    port: int | None = None
    """Of the bridge; 18812 if ``None``."""
    login: int | None = None
    """The account's number at its broker, which the terminal has to prove. Terminals need it."""
    server: str | None = None
    path: str | None = None
    """The terminal's executable; one installation per account."""
    password_env: str | None = None
    """Name of the environment variable that holds the password."""
    password_file: str | None = None
    """File that holds the password."""
    timeout_s: float = 60.0
    """How long connecting, and one call over a bridge, may take."""
    allow_live: bool = False
    """Whether orders may be sent although the broker says that the money is real."""
    magic: int = 0
    """Number that marks the engine's orders in the terminal."""
    deviation: int = 20
    """Largest slip in points; counts on request and instant execution."""

    def __post_init__(self) -> None:
        """Refuse what is not allowed or does not go together."""
        if not isinstance(self.user_id, str) or not self.user_id.strip():
            self._refuse("user_id", "it must be a non-empty string")
        if (self.broker is None) == (self.terminal is None):
            raise ValueError(
                f"broker={self.broker!r} and terminal={self.terminal!r} of account "
                f"{self.user_id!r}: give exactly one of them"
            )
        if self.broker is not None:
            self._check_own_broker()
        else:
            self._check_terminal()
        if not _is_number(self.timeout_s) or self.timeout_s <= 0:
            self._refuse("timeout_s", "it must be a finite number of seconds above 0")
        for name in ("magic", "deviation"):
            if not _is_integer(getattr(self, name)) or getattr(self, name) < 0:
                self._refuse(name, "it must be an integer, 0 or more")
        if not isinstance(self.allow_live, bool):
            self._refuse("allow_live", "it must be true or false")

    def _check_own_broker(self) -> None:
        module, colon, factory = str(self.broker).partition(":")
        if not (module and colon and factory):
            self._refuse("broker", "it must look like 'package.module:factory'")
        if not isinstance(self.options, Mapping):
            raise ValueError(
                f"options of account {self.user_id!r} is a {type(self.options).__name__}; "
                "it must be a mapping of argument names to values"
            )
        for name in _OF_A_TERMINAL:
            if getattr(self, name) is not None:
                self._refuse(name, "it belongs to a terminal; give your own broker its options")

    def _check_terminal(self) -> None:
        if self.terminal not in _TERMINALS:
            self._refuse("terminal", f"it must be one of {', '.join(map(repr, _TERMINALS))}")
        if self.options:
            raise ValueError(
                f"options of account {self.user_id!r} go with broker=, not with "
                f"terminal={self.terminal!r}; remove them"
            )
        if not _is_integer(self.login) or (self.login or 0) <= 0:
            self._refuse("login", "it must be the account's number, so that it can be checked")
        if self.terminal == "mt5":
            for name in ("host", "port"):
                if getattr(self, name) is not None:
                    self._refuse(name, "only terminal='mt5linux' has it; remove it")
        if self.host is not None and not self.host.strip():
            self._refuse("host", "it must be a name or an address")
        if self.port is not None and not (_is_integer(self.port) and 0 < self.port < 65536):
            self._refuse("port", "it must be an integer from 1 to 65535")
        if self.password_env is not None and self.password_file is not None:
            self._refuse("password_file", "password_env is given too; keep one of the two")

    def _refuse(self, name: str, allowed: str) -> NoReturn:
        raise ValueError(
            f"{name}={getattr(self, name)!r} of account {self.user_id!r} is not allowed: {allowed}"
        )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
