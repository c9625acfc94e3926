"""From an account's specification to its broker."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, cast

from engine.brokers.account_spec import BRIDGE_PORT, LOOPBACK, AccountSpec
from engine.brokers.port import Broker
from engine.errors import BrokerUnavailable

_METHODS: Final = tuple(name for name in vars(Broker) if not name.startswith("_"))


def open_broker(spec: AccountSpec) -> Broker:
    """Make the broker that ``spec`` describes; it is not connected yet.

    Raises:
        ValueError: The factory cannot be loaded, or the password is not where it should be.
        BrokerUnavailable: A package that the terminal needs is not installed here.
    """
    if spec.broker is not None:
        return load_broker(spec.broker, spec.user_id, spec.options)
    # Imported here, because they pull in pydantic, and not every account's process needs it.
    from engine.brokers.credentials import read_password
    from engine.brokers.mt5 import MT5Broker

    password = read_password(variable=spec.password_env, file=spec.password_file)
    return MT5Broker(
        _native_terminal() if spec.terminal == "mt5" else _bridge(spec),
        login=spec.login,
        password=password,
        server=spec.server,
        path=spec.path,
        timeout_s=spec.timeout_s,
        magic=spec.magic,
        deviation=spec.deviation,
    )


def load_broker(reference: str, user_id: str, options: Mapping[str, object]) -> Broker:
    """Import ``"package.module:factory"`` and call ``factory(user_id, **options)``.

    Raises:
        ValueError: The reference leads nowhere, the factory does not take these options, or
            what it returns lacks methods of :class:`engine.brokers.port.Broker`. Errors from
            inside the module or the factory pass through unchanged.
    """
    factory = _find(reference)
    if inspect.iscoroutinefunction(factory):
        raise ValueError(
            f"broker={reference!r} is an async function; it must be a plain one that returns "
            "the broker, and connect() is the place to wait"
        )
    _check_call(reference, factory, user_id, options)
    broker = factory(user_id, **options)
    missing = [name for name in _METHODS if not callable(getattr(broker, name, None))]
    if missing:
        raise ValueError(
            f"broker={reference!r} returned a {type(broker).__name__}, which lacks "
            f"{', '.join(missing)}; see engine.brokers.port.Broker"
        )
    return cast("Broker", broker)


def _find(reference: str) -> Any:
    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute):
        raise ValueError(f"broker={reference!r} must look like 'package.module:factory'")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there; something that it imports is not
        raise ValueError(
            f"broker={reference!r}: there is no module {error.name!r}; is it installed, or its "
            "folder on PYTHONPATH, also on the cluster's nodes?"
        ) from error
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ValueError(f"broker={reference!r}: {module_name} has no {attribute}") from error
    if not callable(found):
        raise ValueError(
            f"broker={reference!r} is a {type(found).__name__}; it must be callable as "
            "factory(user_id, **options)"
        )
    return found


def _check_call(reference: str, factory: Any, user_id: str, options: Mapping[str, object]) -> None:
    """Tell options that do not fit from a TypeError out of the factory's own body."""
    try:
        signature = inspect.signature(factory)
    except ValueError:  # some built-ins have none; calling them will tell
        return
    try:
        signature.bind(user_id, **options)
    except TypeError as error:
        raise ValueError(
            f"broker={reference!r} does not take these options: {error}; it is called as "
            f"factory(user_id, **options), the options are {sorted(options)}, and its signature "
            f"is {signature}"
        ) from error


def _native_terminal() -> object:
    try:
        return import_module("MetaTrader5")
    except ModuleNotFoundError as error:
        remedy = (
            "install it with: pip install MetaTrader5"
            if sys.platform == "win32"
            else "use terminal='mt5linux' to reach a terminal in Wine or on another machine, or "
            "a simulated broker"
        )
        raise BrokerUnavailable(
            "terminal='mt5' needs the package MetaTrader5, which exists for Windows only and is "
            f"not installed here (this is {sys.platform}); {remedy}"
        ) from error


def _bridge(spec: AccountSpec) -> object:
    from engine.brokers.bridge import BridgeCalls

    return BridgeCalls(
        host=spec.host or LOOPBACK,
        port=spec.port or BRIDGE_PORT,
        timeout_s=spec.timeout_s,
    )
