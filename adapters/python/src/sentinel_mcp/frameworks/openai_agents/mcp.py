"""MCP servers: decided in the guardrail of their tools, compared where the request is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agents.mcp import MCPServer
from mcp.types import CallToolResult

from sentinel_mcp.errors import SentinelError
from sentinel_mcp.frameworks.openai_agents.functions import PENDING, Guardrail

if TYPE_CHECKING:
    from sentinel_mcp.frameworks._gate import Gate

_OURS: Final = frozenset({"tool_input_guardrails", "call_tool", "_gate", "_server", "__class__"})


class GovernedServer(MCPServer):
    """A server whose calls are governed. All else is the server's own, its session included."""

    def __init__(self, server: MCPServer, gate: Gate) -> None:
        self._server = server
        self._gate = gate
        self.tool_input_guardrails = [*(server.tool_input_guardrails or ()), Guardrail(gate)]

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401
        """Take everything but the call from the server itself."""
        if name in _OURS:
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_server"), name)

    async def call_tool(
        self,
        tool_name: str,
        arguments: dict[str, Any] | None,
        *args: Any,  # noqa: ANN401
        **more: Any,  # noqa: ANN401
    ) -> CallToolResult:
        """Compare a call with what was decided, and send it."""
        pending = PENDING.get()
        PENDING.set(None)
        key = pending.call_id if pending else ""
        # The model may know the tool by a name with the server's in front.
        name = pending.tool if pending and pending.tool.endswith(tool_name) else tool_name
        sent = arguments or {}
        try:
            ticket = pending.take() if pending else None
            ticket = ticket or await self._gate.decide(name, sent, key=key)
            return await self._gate.run(
                ticket,
                name,
                sent,
                lambda: self._server.call_tool(tool_name, arguments, *args, **more),
                key=key,
                judge=_judge,
            )
        except SentinelError as error:
            return CallToolResult.model_validate(
                {"content": [{"type": "text", "text": error.model_message}], "isError": True}
            )


# What is abstract in the base class, `__getattribute__` takes from the server.
GovernedServer.__abstractmethods__ = frozenset()


def _judge(result: CallToolResult) -> tuple[bool, object]:
    document = result.model_dump(mode="json", by_alias=True)
    return not document.get("isError"), document
