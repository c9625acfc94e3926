"""A venue process: simulated accounts in an operating-system process of their own.

A broker outlives its callers. So does this one: its books stay whole whichever client is killed,
an order that has arrived is executed although its client is gone, and what was really executed
is counted apart from what anybody was told. :class:`VenueProcess` starts one;
:func:`external_broker` is the broker of an account there; :class:`VenueControl` counts and
interferes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.simulated.served.broker import (
    ExternalBroker,
    ExternalReplay,
    external_broker,
)
from engine.simulated.served.client import ServedTerminal

if TYPE_CHECKING:
    from engine.simulated.served.accounts import PriceSource, ServedAccount, VenuePlan
    from engine.simulated.served.behaviour import VenueBehaviour
    from engine.simulated.served.control import VenueBook, VenueControl
    from engine.simulated.served.ledger import (
        AccountCounts,
        DoubleClose,
        InFlight,
        InFlightAtDeath,
        ServedRequest,
    )
    from engine.simulated.served.process import VenueFailed, VenueProcess

__all__ = [
    "AccountCounts",
    "DoubleClose",
    "ExternalBroker",
    "ExternalReplay",
    "InFlight",
    "InFlightAtDeath",
    "PriceSource",
    "ServedAccount",
    "ServedRequest",
    "ServedTerminal",
    "VenueBehaviour",
    "VenueBook",
    "VenueControl",
    "VenueFailed",
    "VenuePlan",
    "VenueProcess",
    "external_broker",
]

# An account's process needs the broker alone, and there are many of them.
_HOMES = {
    "accounts": ("PriceSource", "ServedAccount", "VenuePlan"),
    "behaviour": ("VenueBehaviour",),
    "control": ("VenueBook", "VenueControl"),
    "ledger": ("AccountCounts", "DoubleClose", "InFlight", "InFlightAtDeath", "ServedRequest"),
    "process": ("VenueFailed", "VenueProcess"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
