"""The kills in force, as far as they are known here, and which calls they cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill in force."""

    kill_id: str
    scope: str
    reason: str
    tenant: str | None
    tool: str | None
    agent: str | None

    @classmethod
    def of_listing(cls, kill: dict[str, Any]) -> Self:
        """Read a kill of a `sync` event; raises `ValueError`."""
        return cls(
            kill_id=_text(kill, "kill_id"),
            scope=_text(kill, "scope"),
            reason=_text(kill, "reason"),
            tenant=_optional(kill, "tenant"),
            tool=_optional(kill, "tool"),
            agent=_optional(kill, "agent"),
        )

    @classmethod
    def of_event(cls, event: dict[str, Any]) -> Self:
        """Read a `kill_switch` event; raises `ValueError`."""
        metadata = event.get("metadata")
        if type(metadata) is not dict:
            raise ValueError("`metadata` is not an object")
        return cls(
            kill_id=_text(metadata, "kill_id"),
            scope=_text(metadata, "scope"),
            reason=_text(event, "reason"),
            tenant=_optional(event, "tenant"),
            tool=_optional(event, "tool"),
            agent=_optional(metadata, "agent"),
        )

    def covers(self, tenant: str, tool: str, agent: str | None) -> bool | None:
        """Whether it covers a call; `None` when only the control plane knows.

        It alone knows the principal of a key, the agent that a key is bound to, and the scopes and
        tags of a tool.
        """
        if self.scope == "global":
            return True
        if self.tenant is not None and self.tenant != tenant:
            return False
        match self.scope:
            case "tenant":
                return self.tenant == tenant
            case "tool":
                return self.tenant == tenant and self.tool == tool
            case "agent" | "tenant_agent" if agent is not None and self.agent is not None:
                return self.agent.lower() == agent.lower()
            case _:
                return None


def _text(document: dict[str, Any], field: str) -> str:
    value = document.get(field)
    if not isinstance(value, str):
        raise ValueError(f"`{field}` is not a text")  # noqa: TRY004 - the content of a document
    return value


def _optional(document: dict[str, Any], field: str) -> str | None:
    return _text(document, field) if document.get(field) is not None else None
