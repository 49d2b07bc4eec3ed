"""Strict reading of what the control plane answers.

Whatever is not exactly an allow is an error: another status, another type, a field that is missing
or contradicts another, a key that occurs twice.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple, NoReturn

from sentinel_mcp.call import Decision
from sentinel_mcp.errors import ControlPlaneUnavailable, PolicyDenied, SentinelError

KNOWN_OBLIGATIONS: Final = frozenset({"alert", "rate_limit", "require_agent"})

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_OK: Final = 200
_CREATED: Final = 201
_REDIRECTS: Final = 300
_REFUSALS: Final = 400
_SERVER_ERRORS: Final = 500
# Refusals of the request, and not of the call: key, patience, size, number of requests.
_KEY_REFUSED: Final = 401
_NOT_DECIDED: Final = frozenset({407, 408, 421, 425, 429})


class Answer(NamedTuple):
    """An answer as it came over HTTP, complete."""

    status: int
    media_type: str
    body: bytes


class _MalformedError(ValueError):
    """What is wrong with an answer, in words without its content."""


def decision(answer: Answer) -> Decision:
    """Return the decision of an allow; raises a `SentinelError` for everything else."""
    if answer.status != _OK:
        raise refusal(answer)
    try:
        document = _document(answer)
        if document.get("allow") is False:
            raise _denied(document)
        return _allowed(document)
    except _MalformedError as malformed:
        raise _malformed(str(malformed)) from None


def refusal(answer: Answer) -> SentinelError:  # noqa: PLR0911 - one for each kind of status
    """Return the error of an answer whose status is not the expected one."""
    status = answer.status
    if status >= _SERVER_ERRORS:
        return ControlPlaneUnavailable(_problem_text(answer), "server_error")
    if _REDIRECTS <= status < _REFUSALS:
        return ControlPlaneUnavailable("it answered with a redirect", "redirected")
    if status == _KEY_REFUSED:
        return ControlPlaneUnavailable("it does not accept the key of this client", "key_refused")
    if status in _NOT_DECIDED:
        return ControlPlaneUnavailable(_problem_text(answer), "throttled")
    if status < _REFUSALS:
        return _malformed(f"the status is {status}")
    try:
        return _denied(_document(answer), status)
    except _MalformedError as malformed:
        return _malformed(str(malformed))


def manifest_id(answer: Answer) -> str:
    """Return the identifier of a new manifest; raises a `SentinelError`."""
    if answer.status != _CREATED:
        raise refusal(answer)
    try:
        return _uuid(_document(answer), "manifest_id")
    except _MalformedError as malformed:
        raise _malformed(str(malformed)) from None


def confirmed(answer: Answer, field: str) -> str:
    """Return the decision that an answer confirms with `field` true; raises a `SentinelError`."""
    if answer.status != _OK:
        raise refusal(answer)
    try:
        return _confirmed(_document(answer), field)
    except _MalformedError as malformed:
        raise _malformed(str(malformed)) from None


def redeemed(answer: Answer, tool_id: str) -> str:
    """Return the decision that a permit of a tool stands for; raises a `SentinelError`."""
    decision_id = confirmed(answer, "redeemed")
    if _document(answer).get("tool_id") != tool_id.lower():
        raise _malformed("the permit is for another tool")
    return decision_id


def tools(answer: Answer) -> tuple[dict[str, str], str | None]:
    """Return the tools of a page by name, and where the next one begins."""
    if answer.status != _OK:
        raise refusal(answer)
    try:
        page = _document(answer)
        found = {_text(tool, "name"): _uuid(tool, "id") for tool in _objects(page, "items")}
        return found, _optional_text(page, "next_cursor")
    except _MalformedError as malformed:
        raise _malformed(str(malformed)) from None


def value(body: bytes) -> object:
    """Return the value of a JSON text in UTF-8, parsed strictly; raises `ValueError`."""
    try:
        return json.loads(body.decode(), object_pairs_hook=_members, parse_constant=_constant)
    except RecursionError:
        raise _MalformedError("it is nested too deeply") from None
    except _MalformedError:
        raise
    except ValueError:
        raise _MalformedError("it is not JSON") from None


def document(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a text, parsed strictly; raises `ValueError`."""
    parsed = value(body)
    if type(parsed) is not dict:
        raise _MalformedError("it is not an object")
    return parsed


def _document(answer: Answer) -> dict[str, Any]:
    media_type = answer.media_type.partition(";")[0].strip().lower()
    if media_type not in {"application/json", "application/problem+json"}:
        raise _MalformedError("it is not declared as JSON")
    return document(answer.body)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _MalformedError("a key occurs twice")
    return members


def _constant(_name: str) -> NoReturn:
    raise _MalformedError("a number is not finite")


def _confirmed(document: dict[str, Any], field: str) -> str:
    if document.get(field) is not True:
        raise _MalformedError(f"`{field}` is not true")
    return _uuid(document, "decision_id")


def _allowed(document: dict[str, Any]) -> Decision:
    if document.get("allow") is not True:
        raise _MalformedError("`allow` is neither true nor false")
    if document.get("code") != "allowed":
        raise _MalformedError("`allow` and `code` contradict each other")
    decision_id = _uuid(document, "decision_id")
    reason = _text(document, "reason")
    return Decision(
        decision_id=decision_id,
        code="allowed",
        reason=reason,
        reasons=_objects(document, "reasons"),
        obligations=_obligations(document, decision_id),
        quota_remaining=_count(document, "quota_remaining"),
        policy_revision=_optional_text(document, "policy_revision"),
        permit=_optional_text(document, "permit"),
        tool_id=_uuid(document, "tool_id") if document.get("tool_id") is not None else None,
    )


def _denied(document: dict[str, Any], status: int | None = None) -> SentinelError:
    """Return the error of a deny, or of a problem document with this status."""
    code = document.get("code")
    if not isinstance(code, str) or not _CODE.fullmatch(code) or code == "allowed":
        raise _MalformedError("`code` is not the code of a denial")
    if status is not None and document.get("status") != status:
        raise _MalformedError("`status` is not the status of the answer")
    if document.get("allow") not in {None, False}:
        raise _MalformedError("`allow` and the status contradict each other")
    reason = _text(document, "reason" if status is None else "detail")
    decision_id = None
    if status is None or document.get("decision_id") is not None:
        decision_id = _uuid(document, "decision_id")
    return PolicyDenied(reason, code, decision_id)


def _obligations(document: dict[str, Any], decision_id: str) -> tuple[dict[str, Any], ...]:
    obligations = _objects(document, "obligations")
    for obligation in obligations:
        if obligation.get("type") not in KNOWN_OBLIGATIONS:
            reason = "the policy attaches an obligation that this client does not know"
            raise PolicyDenied(reason, "unknown_obligation", decision_id)
    return obligations


def _text(document: dict[str, Any], field: str) -> str:
    value = document.get(field)
    if not isinstance(value, str):
        raise _MalformedError(f"`{field}` is not a text")
    return value


def _optional_text(document: dict[str, Any], field: str) -> str | None:
    return _text(document, field) if document.get(field) is not None else None


def _uuid(document: dict[str, Any], field: str) -> str:
    value = _text(document, field)
    if not _UUID.fullmatch(value):
        raise _MalformedError(f"`{field}` is not a UUID")
    return value


def _count(document: dict[str, Any], field: str) -> int | None:
    value = document.get(field)
    if value is not None and (type(value) is not int or value < 0):
        raise _MalformedError(f"`{field}` is not a count")
    return value


def _objects(document: dict[str, Any], field: str) -> tuple[dict[str, Any], ...]:
    value = document.get(field)
    if type(value) is not list or not all(type(item) is dict for item in value):
        raise _MalformedError(f"`{field}` is not a list of objects")
    return tuple(value)


def _problem_text(answer: Answer) -> str:
    try:
        code = _document(answer).get("code")
    except _MalformedError:
        code = None
    known = f", `{code}`" if isinstance(code, str) and _CODE.fullmatch(code) else ""
    return f"it answered with the status {answer.status}{known}"


def _malformed(what: str) -> ControlPlaneUnavailable:
    return ControlPlaneUnavailable(f"its answer cannot be relied on: {what}", "malformed_answer")
