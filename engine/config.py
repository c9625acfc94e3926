"""The engine's configuration: from code, from the environment (``RISK_ENGINE_*``), from a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.policy import ClosingOrder, ClosingPolicy
from engine.store_url import join_password, shown_url, split_password

_DUCKDB = "duckdb:///"


class GuardSettings(BaseModel):
    """Thresholds of the guards, as fractions (0.2 is 20 %)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drawdown_warning: float = Field(default=0.10, gt=0, le=1)
    drawdown_critical: float = Field(default=0.20, gt=0, le=1)
    market_gap: float = Field(default=0.03, gt=0, le=1)
    market_spread: float = Field(default=0.01, gt=0, le=1)

    @model_validator(mode="after")
    def _warning_comes_first(self) -> GuardSettings:
        if self.drawdown_warning >= self.drawdown_critical:
            raise ValueError(
                f"drawdown_warning={self.drawdown_warning!r} must be below "
                f"drawdown_critical={self.drawdown_critical!r}"
            )
        return self


class EngineConfig(BaseSettings):
    """What an engine is started with.

    Every field can be set in the environment: ``RISK_ENGINE_AUDIT_URL``,
    ``RISK_ENGINE_GUARDS__DRAWDOWN_CRITICAL`` and so on. Times are seconds.
    """

    model_config = SettingsConfigDict(
        env_prefix="RISK_ENGINE_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    namespace: str = Field(default="risk-engine", min_length=1)
    """Ray namespace of the engine's named actors: one engine each."""
    data_dir: Path = Field(default=Path("risk-engine-data"), validate_default=True)
    """Where the journal lives, and the audit store unless ``audit_url`` says otherwise."""
    audit_url: str = ""
    """``duckdb:///path`` or ``postgresql+psycopg://user:password@host:port/database``; a file in
    ``data_dir`` if empty. A password in it moves to ``audit_password`` at once."""
    audit_password: SecretStr | None = None
    """Password of the user that ``audit_url`` names, as it is, with nothing quoted."""
    digests_path: Path | None = None
    """Where digests of the audit trail are kept: ``audit-digests.jsonl`` in ``data_dir`` if unset.
    They prove that nobody made the trail anew, as long as who may write the store may not write
    them: so name a file on another disk, or on another machine's, that only the engine's own user
    may write. If it is away the engine alarms, goes on, and tries again."""
    mode: Literal["observe", "enforce"] = "enforce"
    """``observe`` decides and records everything and sends nothing."""
    guards: GuardSettings = GuardSettings()
    order: ClosingOrder = ClosingOrder.LARGEST_LOSS
    most_attempts: int = Field(default=8, gt=0)
    position_budget_s: float = Field(default=30.0, gt=0)
    settle_window_s: float = Field(default=10.0, gt=0)
    deal_lag_s: float = Field(default=2.0, gt=0)
    read_deadline_s: float = Field(default=10.0, gt=0)
    send_deadline_s: float = Field(default=75.0, gt=0)
    """After this an unanswered order counts as unknown, never as refused."""
    session_probe_s: float = Field(default=60.0, gt=0)
    """How long a market is taken to be closed after it was found so, unless its price moves."""
    session_wait_s: float = Field(default=4 * 86_400.0, gt=0)
    """How long a closed market is waited for: a long weekend by default."""
    orders_per_s: float | None = Field(default=None, gt=0)
    """Requests a second that one broker's server gets from all its accounts; no limit if unset."""
    lease_s: float = Field(default=20.0, gt=0)
    """How long one life of an account may send on one grant. After a death that nobody has seen,
    the next life begins no sooner than this."""
    silence_s: float = Field(default=90.0, gt=0)
    """After this long without a sign of life from an episode its account's process is killed and
    replaced. Must be above ``send_deadline_s``: a broker that is slow is not yet dead."""
    episode_budget_s: float = Field(default=900.0, gt=0)
    """How long an episode may work before what is left becomes a residual; waiting for a market
    to open does not count."""
    trigger_max_age_s: float = Field(default=300.0, gt=0)
    """A trigger older than this is refused as stale."""
    trigger_ahead_s: float = Field(default=5.0, ge=0)
    """How far a trigger's time may lie in the future before it is refused."""
    sweep_first_s: float = Field(default=1.0, gt=0)
    """A locked account is first swept after this long, then at growing distances ..."""
    sweep_longest_s: float = Field(default=60.0, gt=0)
    """... of at most this."""
    most_held: int = Field(default=10_000, gt=0)
    """Records that an account holds while the journal cannot be written."""
    journal_wait_s: float = Field(default=0.25, gt=0)
    """How long an episode's first order waits for its journal entry before it goes ahead."""
    poll_interval_s: float = Field(default=0.25, gt=0)
    """Distance of two looks at an account whose broker has no stream of prices."""

    if not TYPE_CHECKING:  # type checkers derive the arguments from the fields

        def __init__(self, **values: Any) -> None:
            """Read arguments and environment.

            Raises:
                ValidationError: naming the field and the value; no password.
            """
            try:
                super().__init__(**values)
            except ValidationError as error:
                safe = _without_password(error)
            else:
                return
            raise safe  # out of the block, so that the original is not its context

    @model_validator(mode="before")
    @classmethod
    def _password_apart(cls, values: Any) -> Any:
        """Move a password out of the URL, so that no dump and no ``repr`` shows it."""
        url = values.get("audit_url") if isinstance(values, dict) else None
        if not isinstance(url, str):
            return values
        bare, password = split_password(url)
        if password is None:
            return values
        if values.get("audit_password") is not None:
            raise ValueError(
                "audit_password is given twice: in audit_url and by itself; leave out one"
            )
        return {**values, "audit_url": bare, "audit_password": SecretStr(password)}

    @model_validator(mode="after")
    def _password_has_its_place(self) -> EngineConfig:
        if self.audit_password is not None:
            join_password(self.audit_url, self.audit_password.get_secret_value())
        return self

    @model_validator(mode="after")
    def _limits_fit_together(self) -> EngineConfig:
        if self.silence_s <= self.send_deadline_s:
            raise ValueError(
                f"silence_s={self.silence_s!r} must be above "
                f"send_deadline_s={self.send_deadline_s!r}: an account must be given the time "
                "that one order may take; raise silence_s or lower send_deadline_s"
            )
        if self.sweep_first_s > self.sweep_longest_s:
            raise ValueError(
                f"sweep_first_s={self.sweep_first_s!r} must not be above "
                f"sweep_longest_s={self.sweep_longest_s!r}"
            )
        return self

    @field_validator("data_dir", "digests_path")
    @classmethod
    def _from_here(cls, path: Path | None) -> Path | None:
        """Fix a relative path to where it was named: actors run elsewhere."""
        return None if path is None else path.absolute()

    @field_validator("audit_url")
    @classmethod
    def _file_from_here(cls, url: str) -> str:
        path = url.removeprefix(_DUCKDB)
        if url == path or not path or path.startswith(":"):
            return url
        return f"{_DUCKDB}{Path(path).absolute()}"

    @property
    def store_url(self) -> str:
        """The audit store's URL, with the default filled in.

        It holds the password, so it is not to be shown: for people take ``audit_url``.
        """
        if self.audit_password is not None:
            return join_password(self.audit_url, self.audit_password.get_secret_value())
        return self.audit_url or f"{_DUCKDB}{self.data_dir / 'audit.duckdb'}"

    @property
    def journal_path(self) -> Path:
        """The journal's file."""
        return self.data_dir / "journal.sqlite"

    @property
    def digests_file(self) -> Path:
        """The digests' file, with the default filled in."""
        return self.digests_path or self.data_dir / "audit-digests.jsonl"

    @property
    def digest(self) -> str:
        """Short SHA-256 of the whole configuration but for the password, for the records."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def closing_policy(
        self, *, allow_live: bool = False, waits_for_session: bool = False
    ) -> ClosingPolicy:
        """Return the limits of a close, as an account's process takes them.

        Args:
            allow_live: whether orders may go to this account if it holds real money.
            waits_for_session: whether the caller comes again when a market is closed.
        """
        return ClosingPolicy(
            order=self.order,
            sends_orders=self.mode == "enforce",
            allow_live=allow_live,
            most_attempts=self.most_attempts,
            position_budget_s=self.position_budget_s,
            settle_window_s=self.settle_window_s,
            deal_lag_s=self.deal_lag_s,
            waits_for_session=waits_for_session,
            session_probe_s=self.session_probe_s,
            session_wait_s=self.session_wait_s,
            read_deadline_s=self.read_deadline_s,
            send_deadline_s=self.send_deadline_s,
        )


def _without_password(error: ValidationError) -> ValidationError:
    """Make the same error again, with inputs that show no password."""
    details = []
    for one in error.errors(include_url=False):
        given = _shown({str(one["loc"][0]): one["input"]} if one["loc"] else one["input"])
        given = next(iter(given.values())) if one["loc"] else given
        detail = InitErrorDetails(type=one["type"], loc=one["loc"], input=given)
        if "ctx" in one:
            detail["ctx"] = one["ctx"]
        details.append(detail)
    return ValidationError.from_exception_data(error.title, details)


def _shown(given: Any) -> Any:
    if isinstance(given, str):
        return shown_url(given)
    if isinstance(given, list | tuple):
        return [_shown(item) for item in given]
    if isinstance(given, dict):
        return {
            name: "***" if "passw" in str(name).lower() else _shown(value)
            for name, value in given.items()
        }
    return given
