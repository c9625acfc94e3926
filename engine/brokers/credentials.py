"""Where a terminal's password comes from: an environment variable or a file, never a setting."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

_log = logging.getLogger(__name__)


def read_password(
    *,
    variable: str | None = None,
    file: str | Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> SecretStr | None:
    """Read the password from where the account's specification says it is.

    Args:
        variable: Name of an environment variable that holds it.
        file: A text file that holds it and nothing else; one line end after it is dropped.
        environment: Where ``variable`` is looked up.

    Returns:
        The password, or ``None`` when neither place is given: the terminal then uses the one
        that it has stored itself.

    Raises:
        ValueError: Both places are given, or there is no password where it should be. The
            message names the place and never what stands there.
    """
    if variable is not None and file is not None:
        raise ValueError(
            f"password_env={variable!r} and password_file={str(file)!r} are both given; "
            "a password comes from one place, remove the other"
        )
    if variable is not None:
        return _from_variable(variable, environment)
    if file is not None:
        return _from_file(Path(file))
    return None


def _from_variable(variable: str, environment: Mapping[str, str]) -> SecretStr:
    value = environment.get(variable)
    if not value:
        state = "not set" if value is None else "empty"
        raise ValueError(
            f"password_env={variable!r}: this environment variable is {state} in the process "
            "that opens the account; set it there"
        )
    return SecretStr(value)


def _from_file(file: Path) -> SecretStr:
    try:
        text = file.read_text(encoding="utf-8")
        mode = file.stat().st_mode
    except UnicodeDecodeError:
        # Not chained: the original quotes the bytes.
        raise ValueError(f"password_file={str(file)!r} is not a text file in UTF-8") from None
    except OSError as error:
        raise ValueError(
            f"password_file={str(file)!r} cannot be read ({error.strerror}); on a cluster it "
            "must be there on the account's node"
        ) from error
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or "\n" in password:
        raise ValueError(
            f"password_file={str(file)!r} must hold one line, the password, and nothing else"
        )
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        _log.warning("%s can be read by others than its owner; run: chmod 600 %s", file, file)
    return SecretStr(password)
