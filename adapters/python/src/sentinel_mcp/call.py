"""A call that is to be decided, and the decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool.

    `call_id` makes a repeated check get the same decision, and count once, for 24 hours. Derive it
    from the framework's identifiers of the session or run and of the tool call, with the number of
    the attempt. Without one, each check is a call of its own.
    """

    tool: str
    action: str = "call"
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    purpose: str | None = None
    agent: str | None = None
    context: Mapping[str, Any] | None = field(default=None, repr=False)
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """An allow, as the control plane recorded it."""

    decision_id: str
    code: str
    reason: str
    reasons: tuple[Mapping[str, Any], ...] = ()
    obligations: tuple[Mapping[str, Any], ...] = ()
    quota_remaining: int | None = None
    policy_revision: str | None = None
    permit: str | None = field(default=None, repr=False)
    tool_id: str | None = None
