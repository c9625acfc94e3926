"""How every ``risk-engine audit`` command gets at the records: options, choice, errors.

A running engine owns its journal, and its store too if that is DuckDB; so whether one runs here is
known from the journal's lock, and Ray is asked only if need be. If nothing is owned, the files are
read as they lie. If nothing lies here, the engine may run on another node.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import typer
from pydantic import ValidationError
from rich.console import Console

from audit.duckdb_store import DuckDBStore
from audit.errors import AuditError, StoreInUse
from audit.opening import make_store
from engine.config import EngineConfig
from engine.errors import RiskEngineError

if TYPE_CHECKING:
    from audit.digests import Digests
    from audit.trail import Trail

FOUND, NOT_FOUND, USAGE, UNREADABLE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses of every command here: it worked; the answer is no; an option is wrong; it could
not be done, as records or files cannot be read or written; it was interrupted."""

_PANEL = "Which trail"
DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="The engine's folder: journal, and store unless --store names another. "
        "(default: RISK_ENGINE_DATA_DIR, else risk-engine-data)",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Store: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The store. (default: RISK_ENGINE_AUDIT_URL, else audit.duckdb in the folder)",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Of the engine, while it runs. (default: RISK_ENGINE_NAMESPACE, else risk-engine)",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Address: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Of the Ray cluster that the engine runs in: read there and nowhere else. "
        "(default: the cluster of this machine, if need be)",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON lines on stdout and nothing else there.")
]


EXITS = (
    "Exit status: 0 it worked; 2 an option is wrong; 3 the records cannot be read; 130 interrupted."
)


class NotOurEngine(AuditError):
    """The records are owned by a process that cannot be asked for them."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a user says that the trail is; the environment fills in what is left out.

    Args:
        data_dir: the engine's folder.
        store: URL of the store.
        namespace: of the engine.
        address: of a Ray cluster.
    """

    data_dir: Path | None = None
    store: str | None = None
    namespace: str | None = None
    address: str | None = None

    def config(self) -> EngineConfig:
        """Return the configuration of an engine that would write this trail.

        Raises:
            ValueError: an option or a variable of the environment is wrong.
        """
        given = {
            "data_dir": self.data_dir,
            "audit_url": self.store,
            "namespace": self.namespace,
        }
        try:
            config = EngineConfig.model_validate(
                {name: value for name, value in given.items() if value is not None}
            )
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            if not field:  # of several fields together
                raise ValueError(str(first["msg"]).removeprefix("Value error, ")) from None
            raise ValueError(
                f"{_OPTIONS.get(field, field)}={first['input']!r} is not allowed: "
                f"{first['msg']} (also settable as RISK_ENGINE_{field.upper()})"
            ) from None
        try:
            make_store(config.store_url)
        except ValueError as error:
            raise ValueError(str(error).replace("audit=", "--store ", 1)) from None
        return config

    def fingerprint(self) -> object:
        """Return something else when the files have changed; ``None`` if they do not tell."""
        config = self.config()
        store = make_store(config.store_url)
        if self.address is not None or not isinstance(store, DuckDBStore):
            return None
        files = (store.path, store.path.with_name(store.path.name + ".wal"))
        journal = config.journal_path
        return tuple(map(_state, (*files, journal, journal.with_name(journal.name + "-wal"))))


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


_USER = re.compile("//[^/@]*@")
_OPTIONS = {"data_dir": "--data-dir", "audit_url": "--store", "namespace": "--namespace"}


@contextmanager
def reached(where: Whereabouts) -> Iterator[Trail]:
    """Lend the trail; close it, and leave Ray if it was joined for it, at the end.

    Raises:
        AuditError: it cannot be read; the message says what to do.
        RiskEngineError: no engine can be reached where one is needed.
        ValueError: an option is wrong.
    """
    with ExitStack() as leaving:
        yield _choose(where, leaving)


def _choose(where: Whereabouts, leaving: ExitStack) -> Trail:
    from audit.journal_reading import is_owned
    from audit.offline import NothingToRead, open_trail

    config = where.config()
    if where.address is not None:
        return _engine(where, config, leaving, must_match=_is_named(config))
    journal = _journal(where, config)
    if journal is not None and is_owned(journal):
        try:
            return _engine(where, config, leaving, must_match=True)
        except RiskEngineError as error:
            if config.store_url.startswith("duckdb:"):
                raise NotOurEngine(
                    f"--data-dir {config.data_dir}: a running process owns its journal, and it "
                    f"cannot be asked: {error}. If an engine in another namespace or cluster "
                    "owns it, name it with --namespace or --address; else stop that process"
                ) from error
        journal = None  # other databases let anybody read, whoever writes
    try:
        trail = open_trail(config.store_url, journal)
    except (NothingToRead, StoreInUse) as trouble:
        try:
            must_match = _is_named(config) or isinstance(trouble, StoreInUse)
            return _engine(where, config, leaving, must_match=must_match)
        except RiskEngineError as error:
            kind = type(trouble)
            raise kind(f"{trouble}. Nor is there an engine to ask: {error}") from error
    leaving.callback(trail.close)
    return trail


def _journal(where: Whereabouts, config: EngineConfig) -> Path | None:
    """Return the journal that fills the store; a store that is named alone has none."""
    if where.store is None or where.data_dir is not None:
        return config.journal_path
    return config.journal_path if _is_usual(where, config) else None


def digests_beside(where: Whereabouts) -> Digests | None:
    """Read the digests of an engine that has ended, if they are of the store that was named.

    Where its journal lies, it says which line must be the last.

    Raises:
        AuditError: digests or journal cannot be read.
    """
    from audit.digests import own_digests
    from audit.journal_reading import digest_end_in

    config = where.config()
    is_alone = where.store is not None and where.data_dir is None
    if is_alone and config.digests_path is None and not _is_usual(where, config):
        return None
    return own_digests(config.digests_file, digest_end_in(_journal(where, config)))


def _is_usual(where: Whereabouts, config: EngineConfig) -> bool:
    """Whether the store that was named is the one that an engine would write anyway."""
    try:
        usual = replace(where, store=None).config()
    except ValueError:  # the environment has a password, and it is for the store that was named
        return False
    return _is_same_store(usual, config)


def _is_same_store(one: EngineConfig, other: EngineConfig) -> bool:
    """Compare stores, whoever asks: a reader of a database has another name than its writer."""
    return _USER.sub("//", one.store_url) == _USER.sub("//", other.store_url)


def _is_named(config: EngineConfig) -> bool:
    """Whether somebody said where the records are: on the command line or in the environment."""
    return not config.model_fields_set.isdisjoint({"data_dir", "audit_url"})


def _engine(
    where: Whereabouts, config: EngineConfig, leaving: ExitStack, *, must_match: bool
) -> Trail:
    """Return the trail of the engine that runs in the namespace; never start anything.

    Raises:
        RiskEngineError: there is none, or it writes to another store than was asked for.
    """
    from actors.handle import RiskEngine  # Ray takes a second to import
    from actors.ray_runtime import join, leave
    from actors.registry import Registry

    with ExitStack() as undo:
        if join(where.address):
            undo.callback(leave)
        engine = RiskEngine.attach(namespace=config.namespace)
        its_own: EngineConfig = Registry(config.namespace).get("config", "engine")
        if must_match and not _is_same_store(its_own, config):
            raise NotOurEngine(
                f"the engine in namespace {config.namespace!r} writes to "
                f"{shown_url(its_own.store_url)}, not to {shown_url(config.store_url)}: name "
                "that one with --data-dir or --store, or another engine with --namespace"
            )
        leaving.push(undo.pop_all())
    return engine.trail()


def shown_url(url: str) -> str:
    """Return a URL without the password that it may hold."""
    return re.sub(r"//[^/@]*@", "//...@", url)


def check_target(option: str, file: Path, *, force: bool) -> None:
    """Make sure that a file may be written, before anything is read for it.

    Args:
        option: what the user calls it.
        file: where to.
        force: whether one that is there may be replaced.

    Raises:
        ValueError: its folder is missing, it is a folder itself, or it is there.
    """
    named = f"{option}={str(file)!r} is not allowed:"
    if not file.parent.is_dir():
        raise ValueError(f"{named} its folder does not exist; make it, or name another")
    if file.is_dir():
        raise ValueError(f"{named} it is a folder; name a file")
    if file.exists() and not force:
        raise ValueError(f"{named} it exists; name another, or give --force")


class PipedConsole(Console):
    """A console whose reader may stop reading: that is no fault, and ends the command."""

    def on_broken_pipe(self) -> None:
        """Let :func:`explained` end the command, as after any other write."""
        raise BrokenPipeError


@contextmanager
def explained() -> Iterator[None]:
    """Turn errors into one line on stderr and the exit status that stands for them."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FOUND) from None
    except ValueError as error:
        _say(str(error), USAGE)
    except (RiskEngineError, OSError) as error:
        _say(str(error), UNREADABLE)


def _say(text: str, status: int) -> NoReturn:
    typer.secho(text, err=True, fg=typer.colors.RED)
    raise typer.Exit(status)
