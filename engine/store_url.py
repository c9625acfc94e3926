"""The audit store's address, and the password in it: taken out, put back, never shown."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

POSTGRES = "postgresql+psycopg://"
"""How the address of a PostgreSQL database begins."""
_PARTS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@")
_IN_QUERY = re.compile(r"(?i)\b(?P<name>(?:ssl)?password)=(?P<password>[^&\s]*)")
_ANYWHERE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://).*@", re.DOTALL)
_HIDDEN = "***"


def split_password(url: str) -> tuple[str, str | None]:
    """Take the password out of an address.

    Args:
        url: ``scheme://user:password@host/database``.

    Returns:
        The address without it, and the password; ``None`` if it has none.

    Raises:
        ValueError: it cannot be told where the password ends, or it stands in the query.
    """
    found = _PARTS.match(url)
    rest = url if found is None else url[found.end() :]
    if "://" in url and (("@" in rest) or _IN_QUERY.search(rest)):
        raise ValueError(
            f"audit_url={shown_url(url)!r} is not allowed: an '@' within user, password or query "
            "is written %40, and a password is not part of the query; audit_password takes it as "
            "it is"
        )
    if found is None or not found["password"]:
        return url, None
    return f"{found['scheme']}{found['user']}@{rest}", unquote(found["password"])


def join_password(url: str, password: str) -> str:
    """Put a password into an address that has a user and none.

    Raises:
        ValueError: the address has no place for it.
    """
    found = _PARTS.match(url)
    if found is None or found["password"]:
        raise ValueError(
            f"audit_url={shown_url(url)!r} has no place for audit_password: it must name a user "
            "and no password, as in 'postgresql+psycopg://user@host/database'"
        )
    return f"{found['scheme']}{found['user']}:{quote(password, safe='')}@{url[found.end() :]}"


def shown_url(text: str) -> str:
    """Return a text for people: without user and password of any address in it."""
    text = _ANYWHERE.sub(rf"\g<scheme>{_HIDDEN}@", text)
    return _IN_QUERY.sub(rf"\g<name>={_HIDDEN}", text)
