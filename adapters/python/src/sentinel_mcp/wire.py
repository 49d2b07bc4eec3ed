"""Types of requests and answers.

Generated from docs/openapi.json by scripts/generate_wire.py: do not edit.
"""

from typing import Any, Literal, NotRequired, TypedDict


class Reason(TypedDict):
    """One reason, as policy words it."""

    code: str
    msg: str


class CheckAnswer(TypedDict):
    """The decision."""

    allow: bool
    code: Literal[
        "allowed",
        "policy_denied",
        "quota_exceeded",
        "rate_limited",
        "rate_limiter_unavailable",
        "call_id_spent",
        "killed",
        "unknown_tenant",
        "unknown_tool",
        "tool_retired",
        "tool_drift",
        "tool_unapproved",
        "upstream_removed",
        "tenant_forbidden",
        "agent_forbidden",
        "agent_required",
        "key_revoked",
        "no_permit",
        "no_policy",
        "policy_undefined",
        "policy_error",
        "policy_timeout",
        "policy_malformed",
        "unknown_obligation",
        "policy_unavailable",
        "policy_circuit_open",
    ]
    decision_id: str
    manifest_id: NotRequired[str | None]
    obligations: list[dict[str, Any]]
    permit: NotRequired[str | None]
    policy_revision: NotRequired[str | None]
    quota_remaining: NotRequired[int | None]
    reason: str
    reasons: list[Reason]
    tool_id: NotRequired[str | None]


class CheckRequest(TypedDict):
    """The call that is to be decided."""

    action: str
    agent: NotRequired[str | None]
    arguments: NotRequired[dict[str, Any] | None]
    call_id: NotRequired[str | None]
    context: NotRequired[dict[str, Any] | None]
    purpose: NotRequired[str | None]
    tenant_slug: str
    tool_name: str
    usage: NotRequired[int | None]


class Problem(TypedDict):
    """An error: RFC 9457 `application/problem+json`."""

    allow: NotRequired[bool | None]
    code: str
    decision_id: NotRequired[str | None]
    detail: str
    reasons: NotRequired[list[str]]
    request_id: str
    status: int
    title: str
    type: str


class RedeemAnswer(TypedDict):
    """The call may be made, now and once."""

    decision_id: str
    redeemed: bool
    tool_id: str


class RedeemRequest(TypedDict):
    """A permit, and the call it is to be used for."""

    arguments: NotRequired[dict[str, Any] | None]
    permit: str
    tool_id: str


class ResumeAnswer(TypedDict):
    """The call may go on, as of now."""

    decision_id: str
    resumed: bool


class ResumeRequest(TypedDict):
    """A call that was allowed, and is to go on."""

    action: str
    arguments: NotRequired[dict[str, Any] | None]
    decision_id: str
    round: NotRequired[int | None]
    tool_name: str


class SignAnswer(TypedDict):
    """The manifest, which is on disk."""

    log_index: int
    manifest_id: str
    payload_hash: str
    salt: str
    signature: str
    timestamp: int


class SignRequest(TypedDict):
    """The action that is to be signed."""

    action: str
    agent: NotRequired[str | None]
    decision_id: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]
    keep_payload: NotRequired[bool]
    metadata: NotRequired[dict[str, Any] | None]
    payload: Any
    purpose: NotRequired[str | None]
    tenant_slug: str
    tool_name: str


class Kill(TypedDict):
    """A kill."""

    actor: str
    agent: NotRequired[str | None]
    by_platform: bool
    created_at: str
    epoch: int
    expires_at: NotRequired[str | None]
    in_force: bool
    kill_id: str
    label: NotRequired[str | None]
    reason: str
    restored_at: NotRequired[str | None]
    restored_by: NotRequired[str | None]
    scope: str
    starts_at: NotRequired[str | None]
    state: str
    tenant: NotRequired[str | None]
    tool: NotRequired[str | None]


class SyncEvent(TypedDict):
    """The state of the kill switch, sent first and whenever events were missed."""

    epoch: int
    event: str
    gap: bool
    kills: list[Kill]


Uncovered = Literal["no_permit", "permit_invalid", "permit_used", "permit_refused"]


class UncoveredRequest(TypedDict):
    """A call that reached a tool without Sentinel, and that the tool's server refused."""

    action: str
    reason: Uncovered
    tenant_slug: str
    tool_name: str
