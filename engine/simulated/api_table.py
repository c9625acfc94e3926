"""The surface of the ``MetaTrader5`` package as data: constants, functions, result structs.

``api-5.0.6231.json`` lists what the package exposes, in order. The struct classes built here
behave as the binding's own: tuples with named attributes and ``_asdict()``, without ``_fields``,
and impossible to pickle.
"""

from __future__ import annotations

import json
from importlib.resources import files
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

_TABLE: dict[str, Any] = json.loads(
    files("engine.simulated").joinpath("api-5.0.6231.json").read_text(encoding="utf-8")
)

PACKAGE_VERSION: str = _TABLE["package"].rpartition(" ")[2]
"""Version of the ``MetaTrader5`` package that the table was taken from."""

CONSTANTS: MappingProxyType[str, int] = MappingProxyType(_TABLE["constants"])
"""Every constant of the package, by name, in the package's order."""

FUNCTIONS: tuple[str, ...] = tuple(_TABLE["functions"])
"""Every function of the binding, in its order."""

STRUCT_FIELDS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(fields) for name, fields in _TABLE["structs"].items()}
)
"""Every result struct with its fields, in order."""


class Struct(tuple[Any, ...]):
    """Base of the result structs: a tuple whose items are attributes, too.

    Build one from a sequence that holds a value for each field, in order:
    ``BookInfo((1, 1.1, 5, 5.0))``. The length is not checked, as structs are built on hot paths.
    """

    __slots__ = ()
    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Read a field; which there are is known from the table only."""

    def _asdict(self) -> dict[str, Any]:
        """Return the fields as a dict, in order; a nested struct stays a struct."""
        return dict(zip(STRUCT_FIELDS[type(self).__name__], self, strict=True))

    def __repr__(self) -> str:
        """Show name and fields as the binding does."""
        fields = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
        return f"{type(self).__name__}({fields})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied, as the binding's structs do."""
        raise TypeError(
            f"cannot pickle '{type(self).__name__}' object; turn it into plain data with _asdict()"
        )


def _struct(name: str) -> type[Struct]:
    body: dict[str, Any] = {"__slots__": (), "__module__": __name__}
    for position, field in enumerate(STRUCT_FIELDS[name]):
        body[field] = property(itemgetter(position))
    return type(name, (Struct,), body)


Tick = _struct("Tick")
OrderSendResult = _struct("OrderSendResult")
TradePosition = _struct("TradePosition")
BookInfo = _struct("BookInfo")
AccountInfo = _struct("AccountInfo")
TradeOrder = _struct("TradeOrder")
OrderCheckResult = _struct("OrderCheckResult")
SymbolInfo = _struct("SymbolInfo")
TerminalInfo = _struct("TerminalInfo")
TradeDeal = _struct("TradeDeal")
TradeRequest = _struct("TradeRequest")

STRUCTS: MappingProxyType[str, type[Struct]] = MappingProxyType(
    {
        struct.__name__: struct
        for struct in (
            Tick,
            OrderSendResult,
            TradePosition,
            BookInfo,
            AccountInfo,
            TradeOrder,
            OrderCheckResult,
            SymbolInfo,
            TerminalInfo,
            TradeDeal,
            TradeRequest,
        )
    }
)
"""The result structs by name, in the table's order."""


def _surface_base() -> type:
    """Build an empty class that carries every constant and struct as a class attribute."""
    body: dict[str, Any] = {"__slots__": (), "__module__": __name__, "__version__": PACKAGE_VERSION}
    body.update(CONSTANTS)
    body.update(STRUCTS)
    return type("Surface", (), body)


if TYPE_CHECKING:

    class Surface:
        """Constants and structs of the package as class attributes, shared by all instances."""

        __slots__ = ()
        __version__: str

        def __getattr__(self, name: str) -> Any:
            """Read a constant or a struct; which there are is known from the table only."""

else:
    Surface = _surface_base()
