"""The flat certificate as one HTML page: everything in it, no network, made to be printed."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from audit.certificate import Certificate, CertifiedClose, Seen, Verdict
from audit.errors import AuditError
from engine.brokers.port import AccountState
from engine.clock import to_datetime
from engine.mandates import DirectClose
from engine.models import Attempt, CloseEvidence, CloseResult

NOTHING = "\N{EM DASH}"

_COLOURS = {"ink": "#1d2733", "muted": "#66727f", "grid": "#dfe5ea", "page": "#f5f7f9"}
_GOOD, _BAD = "#2f7f6f", "#c8472f"


class PageFailed(AuditError):
    """The page could not be written; there is none, or the one that was there before."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Columns (a leading ``>`` sets numbers to the right), and rows of texts."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def certificate_page(certificate: Certificate) -> str:
    """Write a certificate as a page of HTML."""
    environment = Environment(
        loader=PackageLoader("audit"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("certificate.html.j2").render(
        c=certificate,
        colours={**_COLOURS, "verdict": _GOOD if certificate.is_good else _BAD},
        lead=_lead(certificate),
        made=_moment(certificate.made_at),
        facts=_facts(certificate),
        timings=_timings(certificate),
        untold=untold(certificate),
        before=_seen(certificate.before),
        after=_seen(certificate.after),
        closes=[_close(close) for close in certificate.closes],
        residuals=_residuals(certificate),
        incidents=_incidents(certificate),
        chains=_chains(certificate),
        places=_places(certificate),
    )


def untold(certificate: Certificate) -> str:
    """Say that orders were sent of which no record tells; nothing if there were none."""
    count = certificate.untold_orders
    if not count:
        return ""
    closes = "1 close rests" if count == 1 else f"{count:,} closes rest"
    return (
        f"{closes} on orders that no record describes, only the broker's deals: the life that "
        "sent them ended first, or had room for a summary only. So orders were sent that are "
        "not in these times"
    )


def write_certificate_page(certificate: Certificate, file: Path) -> None:
    """Write a certificate as a page into a file, which appears whole, in place of one there was.

    Args:
        certificate: what to write.
        file: where; its folder must exist.

    Raises:
        PageFailed: it cannot be written; there is none, or the one that was there before.
    """
    page = certificate_page(certificate)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as scratch:
            written = Path(scratch) / "page"
            written.write_text(page, encoding="utf-8")
            written.replace(file)
    except OSError as error:
        raise PageFailed(
            f"--html={str(file)!r} cannot be written ({error.strerror or error}): see to its "
            "folder, its rights and free space, or name another file"
        ) from error


def shown(value: object) -> object:
    """Make every value visible and harmless to read; escaping is the template's.

    What a broker or a caller wrote may hold characters that are not seen, or that turn the text
    around them about: they are spelled out.
    """
    if value is None or value == "":
        return NOTHING
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "".join(
        f"\\u{ord(c):04x}" if unicodedata.category(c) in _UNSEEN and c != "\n" else c for c in value
    )


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _lead(certificate: Certificate) -> str:
    if not certificate.is_proven:
        return f"The records say “{certificate.verdict.value}”, but they fail verification."
    if certificate.verdict is Verdict.FLAT:
        return "The whole account was read after the last close, and nothing was open."
    if certificate.verdict is Verdict.CLOSED:
        return (
            "The positions that this episode covered are closed as asked, by the broker's deals. "
            "What else the account held was not part of it."
        )
    return "Something is left, or nothing on record shows that nothing is:"


def _facts(certificate: Certificate) -> list[tuple[str, object]]:
    mandate = certificate.mandate
    scope = (
        "all open positions"
        if mandate.positions is None
        else ", ".join(f"{ref.position_id} (ticket {ref.ticket})" for ref in mandate.positions)
    )
    facts: list[tuple[str, object]] = [
        ("account", certificate.user_id),
        ("trigger", certificate.trigger_id),
        ("initiator", certificate.initiator),
        ("reason", mandate.reason),
    ]
    if isinstance(mandate, DirectClose):
        facts.append(("kind", "direct close"))
        if mandate.volume is not None:
            facts.append(("volume asked", _number(mandate.volume)))
    else:
        facts.append(("severity", mandate.severity.value))
        facts += [(f"guard saw: {name}", _plain(value)) for name, value in mandate.inputs.items()]
    return [*facts, ("scope", scope), ("software", ", ".join(certificate.data()["software"]))]


def _timings(certificate: Certificate) -> _Table:
    times = certificate.timings
    named = (
        ("triggered", times.triggered),
        ("accepted", times.accepted),
        (
            "first order on record" if certificate.untold_orders else "first order sent",
            times.first_order,
        ),
        ("last answer", times.last_answer),
        ("closed" if certificate.verdict is Verdict.CLOSED else "flat", times.flat),
        ("end recorded", times.finished),
    )
    return _Table(
        ("what", "when (UTC)", ">seconds after the trigger"),
        [
            (name, _moment(at), NOTHING if at is None else f"{times.seconds(at):+.6f}")
            for name, at in named
        ],
    )


def _seen(seen: Seen | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    sighting = seen.sighting
    rows = [
        (
            p.position_id,
            p.ticket,
            p.symbol,
            p.side.value,
            _number(p.volume),
            _number(p.price_open),
            _number(p.price_current),
            _money(p.profit),
            _money(p.swap),
            p.comment,
        )
        for p in sighting.positions
    ]
    columns = ("position", "ticket", "symbol", "side", ">lots", ">opened at", ">price", ">profit")
    return {
        "moment": _moment(sighting.at_us),
        "open": seen.open,
        "unlisted": seen.open - len(sighting.positions),
        "account": _account(sighting.account),
        "positions": _Table((*columns, ">swap", "comment"), rows),
    }


def _account(account: AccountState | None) -> list[tuple[str, object]]:
    if account is None:
        return []
    return [
        ("login", f"{account.login} at {account.server}"),
        ("kind", f"{account.margin_mode.value}, {'real' if account.is_real else 'demo'} money"),
        ("balance", f"{_money(account.balance)} {account.currency}"),
        ("equity", f"{_money(account.equity)} {account.currency}"),
        ("margin", f"{_money(account.margin)} {account.currency}"),
    ]


def _close(close: CertifiedClose) -> dict[str, Any]:
    result, evidence = close.result, close.evidence
    facts: list[tuple[str, object]] = [
        ("outcome", result.outcome.value),
        ("closed", _lots(result, evidence)),
        ("price", _number(result.closed_price)),
        ("P&L", _money(result.pnl)),
        ("closed by", evidence.closed_by),
        ("close id", result.close_id),
    ]
    if result.error_message:
        facts.append(("error", result.error_message))
    if close.is_shared:
        facts.append(("of another episode", close.entry.record.trigger_id))
    side = f" {evidence.side.value}" if evidence.side else ""
    return {
        "name": f"{result.position_id} (ticket {result.ticket})",
        "what": f"{evidence.symbol}{side}",
        "is_good": result.success,
        "facts": facts,
        "attempts": _attempts(evidence.attempts),
        "said": [(a.number, list(_flat(a.details))) for a in evidence.attempts if a.details],
        "deals": _Table(
            (
                "deal",
                "broker's time",
                "order",
                "entry",
                "side",
                ">lots",
                ">price",
                ">profit",
                ">costs",
                "by",
                "comment",
            ),
            [
                (
                    d.ticket,
                    _moment(d.time_ms * 1000)[:-3],
                    d.order,
                    d.entry.name.lower(),
                    d.side.value,
                    _number(d.volume),
                    _number(d.price),
                    _money(d.profit),
                    _money(d.commission + d.swap + d.fee),
                    d.closed_by.value,
                    d.comment,
                )
                for d in evidence.deals
            ],
        ),
    }


def _lots(result: CloseResult, evidence: CloseEvidence) -> str:
    if evidence.volume_before < result.volume:  # it was found gone: the deals alone tell
        return f"{_number(result.volume)} lots, by the deals"
    return f"{_number(result.volume)} of {_number(evidence.volume_before)} lots"


def _attempts(attempts: Iterable[Attempt]) -> _Table:
    return _Table(
        ("attempt", "sent (UTC)", ">answered after", ">lots asked", ">filled", ">price", "answer"),
        [
            (
                a.number,
                _moment(a.sent_us),
                f"{(a.answered_us - a.sent_us) / 1000:.3f} ms",
                _number(a.volume_asked),
                _number(a.volume),
                _number(a.price or None),
                f"{a.verdict.value}: {a.code} {a.text}",
            )
            for a in attempts
        ],
    )


def _flat(details: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in details.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _plain(value)


def _residuals(certificate: Certificate) -> _Table:
    return _Table(
        ("position", "ticket", "symbol", ">lots open", "why"),
        [
            (r.position_id, r.ticket, r.symbol, _number(r.volume), r.reason)
            for r in certificate.residuals
        ],
    )


def _incidents(certificate: Certificate) -> _Table:
    return _Table(
        ("when (UTC)", "what", "on record as"),
        [
            (_moment(e.record.occurred_at), e.record.event_type.value, e.record.description)
            for e in certificate.incidents
        ],
    )


def _chains(certificate: Certificate) -> _Table:
    return _Table(
        ("stream", ">records checked", "outcome"),
        [
            (chain.stream, f"{chain.records:,}", chain.problem or "every record fits")
            for chain in certificate.verification.chains
        ],
    )


def _places(certificate: Certificate) -> _Table:
    return _Table(
        ("stream", ">number", "record", "hash (SHA-256)"),
        [
            (
                entry.record.stream,
                entry.record.seq,
                entry.record.event_type.value + (" (late)" if entry.record.late else ""),
                entry.hash.hex(),
            )
            for entry in certificate.places
        ],
    )


def _moment(at_us: int | None) -> str:
    return NOTHING if at_us is None else f"{to_datetime(at_us):%Y-%m-%d %H:%M:%S.%f}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.10g}"


def _money(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.2f}"


_TICK = {"symbol": 0, "bid": 1, "ask": 2}
"""In which order people expect a tick's members; on record they are in the alphabet's."""


def _plain(value: object) -> str:
    """Write what a guard saw, or a request or an answer held, as a person would."""
    match value:
        case str():
            return value
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case float():
            return _number(value)
        case Mapping():
            members = sorted(value.items(), key=lambda member: _TICK.get(member[0], len(_TICK)))
            return ", ".join(_member(str(name), one) for name, one in members)
        case Sequence():
            return "; ".join(map(_plain, value)) or NOTHING
    return str(value)


def _member(name: str, value: object) -> str:
    if name == "time_ms" and isinstance(value, int):  # a tick's, by the broker's clock
        return f"time {_moment(value * 1000)[:-3]}"
    return f"{name} {_plain(value)}"
