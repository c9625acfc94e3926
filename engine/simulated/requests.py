"""Trade requests: from a caller's dictionary to typed fields, as strict as the binding.

Missing keys are 0 or empty, unknown keys are ignored. Volumes and prices must be ``float``
(subclasses count, so ``numpy.float64`` passes), everything else ``int`` from 0 to 2**64 - 1
(``IntEnum`` passes; ``bool`` and NumPy's integers do not) or ``str``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

LONGEST_COMMENT = 29
_INT_BOUND = 1 << 64


class InvalidArgument(Exception):
    """A field of a request has the wrong type or range; ``str()`` of it is the field's name."""


class Request(NamedTuple):
    """A trade request, its fields in the order of the binding's ``TradeRequest``."""

    action: int = 0
    magic: int = 0
    order: int = 0
    symbol: str = ""
    volume: float = 0.0
    price: float = 0.0
    stoplimit: float = 0.0
    sl: float = 0.0
    tp: float = 0.0
    deviation: int = 0
    type: int = 0
    type_filling: int = 0
    type_time: int = 0
    expiration: int = 0
    comment: str = ""
    position: int = 0
    position_by: int = 0


_DEFAULTS = tuple(Request._field_defaults.values())
_PLACES: dict[object, tuple[int, type]] = {
    name: (place, type(default))
    for place, (name, default) in enumerate(Request._field_defaults.items())
}


def parse_request(data: object) -> Request:
    """Read a request.

    Raises:
        InvalidArgument: ``data`` is no dict (named ``request``), or a field is of a wrong type.
    """
    if not isinstance(data, dict):
        raise InvalidArgument("request")
    values: list[Any] = list(_DEFAULTS)
    for name, value in data.items():
        known = _PLACES.get(name)
        if known is None:
            continue
        place, kind = known
        if type(value) is not kind and (not isinstance(value, kind) or isinstance(value, bool)):
            raise InvalidArgument(name)
        if isinstance(value, int) and not 0 <= value < _INT_BOUND:
            raise InvalidArgument(name)
        values[place] = value
    request = Request._make(values)
    if len(request.comment) > LONGEST_COMMENT:
        raise InvalidArgument("comment")
    return request
