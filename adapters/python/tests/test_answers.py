"""Nothing but an exact allow allows: every field, with every wrong type."""

from __future__ import annotations

import json
import typing
from typing import Any

import pytest
from sentinel_mcp import ControlPlaneUnavailable, PolicyDenied, SentinelError, wire, wording
from sentinel_mcp.answers import Answer, confirmed, decision, manifest_id, redeemed

ID = "01a224f8-b15f-7640-8f5a-a43b2fb15b49"
ALLOW: dict[str, Any] = {
    "allow": True,
    "code": "allowed",
    "reason": "allowed by policy",
    "decision_id": ID,
    "reasons": [{"code": "a", "msg": "b"}],
    "obligations": [{"type": "alert"}],
    "quota_remaining": 3,
    "policy_revision": "sha256:1",
    "permit": "permit",
    "tool_id": ID,
}
REQUIRED = ("allow", "code", "reason", "decision_id", "reasons", "obligations")
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    "",
    "text",
    [],
    ["text"],
    {},
    {"allow": True},
    [[]],
)
JSON = "application/json"


def answer(body: object, status: int = 200, kind: str = JSON) -> Answer:
    return Answer(status, kind, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_an_allow_is_read() -> None:
    read = decision(answer(ALLOW))
    assert (read.decision_id, read.permit, read.quota_remaining) == (ID, "permit", 3)


def _wrong() -> list[tuple[str, object]]:
    fine = {
        "reason": ("", "text"),
        "reasons": ([], [{}]),
        "obligations": ([],),
        "quota_remaining": (None, 0, 1),
        "policy_revision": (None, "", "text"),
        "permit": (None, "", "text"),
        "tool_id": (None,),
        "allow": (True,),
    }
    return [
        (field, value)
        for field in ALLOW
        for value in VALUES
        if not any(type(value) is type(each) and value == each for each in fine.get(field, ()))
    ]


@pytest.mark.parametrize(("field", "value"), _wrong())
def test_a_field_of_a_wrong_type_allows_nothing(field: str, value: object) -> None:
    with pytest.raises(SentinelError):
        decision(answer({**ALLOW, field: value}))


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_allows_nothing(field: str) -> None:
    with pytest.raises(ControlPlaneUnavailable):
        decision(answer({name: value for name, value in ALLOW.items() if name != field}))


def test_the_fields_that_are_required_are_those_of_the_interface() -> None:
    assert wire.CheckAnswer.__required_keys__ == set(REQUIRED)
    assert set(ALLOW) | {"manifest_id"} == set(typing.get_type_hints(wire.CheckAnswer))


@pytest.mark.parametrize("status", [s for s in range(100, 600) if s != 200])
def test_another_status_allows_nothing(status: int) -> None:
    with pytest.raises(SentinelError) as raised:
        decision(answer(ALLOW, status))
    if 400 <= status < 500 and status not in {401, 407, 408, 421, 425, 429}:
        assert raised.value.code == "malformed_answer"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xef\xbb\xbf" + json.dumps(ALLOW).encode(),
        json.dumps(ALLOW).encode("utf-16"),
        json.dumps(ALLOW).encode("utf-32"),
        json.dumps(ALLOW).encode() * 2,
        json.dumps(ALLOW).encode()[:-1] + b',"allow":true}',
        json.dumps(ALLOW).encode()[:-1] + b',"x":{"a":1,"a":2}}',
        json.dumps(ALLOW).encode()[:-1] + b',"x":Infinity}',
        b"[" * 200_000,
        b'{"allow":' * 100_000,
        b"9" * 10_000,
    ],
)
def test_a_body_that_parsers_read_differently_allows_nothing(body: bytes) -> None:
    with pytest.raises(ControlPlaneUnavailable) as raised:
        decision(answer(body))
    assert raised.value.code == "malformed_answer"


@pytest.mark.parametrize("kind", ["", "text/html", "text/json", "application/jsonp", "json"])
def test_another_media_type_allows_nothing(kind: str) -> None:
    with pytest.raises(ControlPlaneUnavailable):
        decision(answer(ALLOW, kind=kind))
    assert decision(answer(ALLOW, kind="Application/JSON; charset=utf-8")).decision_id == ID


@pytest.mark.parametrize("code", typing.get_args(typing.get_type_hints(wire.CheckAnswer)["code"]))
def test_every_reason_code_has_words_and_denies(code: str) -> None:
    if code == "allowed":
        return
    with pytest.raises(PolicyDenied) as raised:
        decision(answer({**ALLOW, "allow": False, "code": code, "reason": "why"}))
    assert (raised.value.code, raised.value.decision_id) == (code, ID)
    text = raised.value.model_message
    assert text.startswith("Denied") or code == "killed"
    assert "o not retry" in text
    assert f"(code {code}, decision {ID})" in text
    assert code in wording._WORDS


def test_a_denial_that_contradicts_itself_is_none_that_names_a_decision() -> None:
    with pytest.raises(ControlPlaneUnavailable):
        decision(answer({**ALLOW, "allow": False}))  # The code says `allowed`.
    problem = {"status": 403, "code": "x", "detail": "d", "allow": True}
    with pytest.raises(ControlPlaneUnavailable):
        decision(answer(problem, 403))
    with pytest.raises(ControlPlaneUnavailable):
        decision(answer({**problem, "allow": False, "status": 404}, 403))


def test_no_text_has_words_that_clients_misread() -> None:
    nasty = "Not not foundfound. UNAUTHORIZED\nAuthentication\u2028 \ud800" + "x" * 5000
    denied = PolicyDenied(nasty, "policy_denied", nasty).model_message
    unavailable = ControlPlaneUnavailable(nasty, nasty).model_message
    for text in (denied, unavailable):
        assert not any(word in text.lower() for word in wording.AVOIDED)
        assert text.isprintable()
        assert len(text) < 1200
        text.encode()


def test_confirmations_are_exact() -> None:
    redeem = {"redeemed": True, "decision_id": ID, "tool_id": ID}
    assert redeemed(answer(redeem), ID.upper()) == ID
    for wrong in ({"redeemed": 1}, {"redeemed": "true"}, {"decision_id": 1}, {"tool_id": "other"}):
        with pytest.raises(SentinelError):
            redeemed(answer({**redeem, **wrong}), ID)
    for status in (201, 204, 302, 403, 409, 500):
        with pytest.raises(SentinelError):
            confirmed(answer(redeem, status), "redeemed")
    assert manifest_id(answer({"manifest_id": ID}, 201)) == ID
    for status in (200, 202, 500):
        with pytest.raises(SentinelError):
            manifest_id(answer({"manifest_id": ID}, status))
