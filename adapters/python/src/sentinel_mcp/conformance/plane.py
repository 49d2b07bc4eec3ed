"""What the kit needs of a control plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Signed(NamedTuple):
    """A signed outcome."""

    tool: str
    payload: Mapping[str, Any] | None
    """What was signed; `None` when the control plane does not keep it."""
    decision_id: str | None


class Plane(Protocol):
    """A control plane, real or not."""

    url: str
    tenant: str
    api_key: str
    principal: str
    """How a kill names the principal of `api_key`."""

    def kill(self, target: Mapping[str, Any]) -> None:
        """Kill; returns when the control plane has answered."""

    def restore(self, target: Mapping[str, Any]) -> None:
        """Restore."""

    def checks(self) -> int:
        """How many calls were decided."""

    def decisions(self) -> list[str]:
        """Return the decisions that were made."""

    def signed(self) -> list[Signed]:
        """Return the outcomes that were signed."""
