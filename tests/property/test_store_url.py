"""Whatever the password of the audit store: it gets there, and nothing shows it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import make_url

from engine.config import EngineConfig
from engine.store_url import shown_url, split_password
from tests.property.test_password_secrecy import assert_kept, forms

# The letters around it keep a password from standing in our own messages by chance.
passwords = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
).map(lambda text: f"Zq{text}7")
_BARE = "postgresql+psycopg://me@db.example:5432/audit?sslmode=require"


def _with(password: str) -> str:
    return _BARE.replace("@", f":{quote(password, safe='')}@", 1)


@given(passwords)
def test_a_password_arrives_however_it_is_given(password: str) -> None:
    in_url = EngineConfig(audit_url=_with(password))
    apart = EngineConfig.model_validate({"audit_url": _BARE, "audit_password": password})
    for config in (in_url, apart):
        assert config.audit_url == _BARE
        assert make_url(config.store_url).password == password
        shown = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
        assert [
            form for form in (*forms(password), quote(password, safe="")) if form in shown
        ] == []
    assert in_url.digest == apart.digest


@given(passwords, st.sampled_from([{"mode": "x"}, {"silence_s": 1}, {"namespace": ""}]))
def test_an_error_in_another_field_does_not_show_it(
    password: str, wrong: dict[str, object]
) -> None:
    for fields in (
        {"audit_url": _with(password)},
        {"audit_url": _BARE, "audit_password": password},
        {"audit_password": password},
        {"audit_url": _with(password), "audit_password": password},
    ):
        with pytest.raises(ValidationError) as refusal:
            EngineConfig.model_validate({**fields, **wrong})
        assert_kept(refusal.value, password)
        assert_kept(refusal.value, quote(password, safe=""))
        assert password not in repr(refusal.value.errors())


@given(passwords)
def test_a_password_that_was_not_quoted_is_not_shown(password: str) -> None:
    url = f"postgresql+psycopg://me:{password}@db/audit"
    assert password not in shown_url(url)
    try:
        bare, _ = split_password(url)
    except ValueError as error:
        assert_kept(error, password)
    else:
        assert password not in bare
