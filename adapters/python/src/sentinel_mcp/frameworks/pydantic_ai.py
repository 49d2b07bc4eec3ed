"""Pydantic AI: `Agent(…, capabilities=[SentinelCapability()])`.

The call is decided in the last hook before it runs, with the validated arguments. What the toolset
is then asked to call is compared with that, around each toolset itself and inside any wrapper.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic_ai import ToolFailed
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred
from pydantic_ai.toolsets import WrapperToolset

from sentinel_mcp.errors import SentinelError
from sentinel_mcp.frameworks._gate import Gate, Names, Pending, Purpose, UngovernedToolError
from sentinel_mcp.plain import plain

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic_ai import RunContext
    from pydantic_ai.messages import ToolCallPart
    from pydantic_ai.models import ModelRequestContext
    from pydantic_ai.tools import ToolDefinition
    from pydantic_ai.toolsets import AbstractToolset, ToolsetTool

    from sentinel_mcp.settings import Settings
    from sentinel_mcp.signing import Signature

# A call that waits for a person, or runs elsewhere, has no outcome yet.
_PASSING: Final = (ApprovalRequired, CallDeferred)
# It only looks up definitions of tools that are governed themselves.
_HARMLESS: Final = frozenset({"tool_search"})
_PENDING: ContextVar[Pending | None] = ContextVar("sentinel_mcp_pydantic_ai", default=None)


class SentinelCapability(AbstractCapability[Any]):
    """Governs the tools of an agent.

    `names` maps tools to registered names, `purpose` is one for all or one for each registered
    name. `native` names tools of the model's provider (`web_search`, …) that may run without a
    decision; others end the run before the model is asked.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        names: Names = None,
        purpose: Purpose = None,
        agent: str | None = None,
        native: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.gate = Gate(settings, names=names, purpose=purpose, agent=agent)
        self._native = frozenset(native) | _HARMLESS

    def signature(self, tool_call_id: str) -> Signature | None:
        """Return the handle to the manifest of a recent call."""
        return self.gate.signature(tool_call_id)

    def get_ordering(self) -> CapabilityOrdering:
        """Come last, so that no other capability changes what was decided."""
        return CapabilityOrdering(position="innermost")

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        """Compare right around each toolset, inside the wrappers that others put around it."""
        return toolset.visit_and_replace(lambda leaf: GovernedToolset(leaf, self.gate))

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Stop native tools: no hook sees their calls."""
        for tool in request_context.model_request_parameters.native_tools:
            if tool.kind not in self._native:
                raise UngovernedToolError(
                    f"the native tool `{tool.kind}` cannot be governed: it must not run"
                )
        return await super().before_model_request(ctx, request_context)

    async def before_tool_execute(
        self,
        ctx: RunContext[Any],  # noqa: ARG002
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,  # noqa: ARG002
        args: dict[str, Any],
    ) -> dict[str, Any]:
        """Decide a call."""
        key, name = call.tool_call_id, call.tool_name
        try:
            ticket = await self.gate.decide(name, _plain(args), key=key)
        except SentinelError as error:
            _PENDING.set(None)
            raise ToolFailed(error.model_message) from error
        _PENDING.set(Pending(key, ticket, name))
        return args


@dataclass
class GovernedToolset(WrapperToolset[Any]):
    """A toolset that calls a tool only when that call was decided."""

    gate: Gate

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:  # noqa: ANN401
        """Compare a call with what was decided, and make it."""
        asked, key, arguments = name, ctx.tool_call_id or "", _plain(tool_args)
        pending = _PENDING.get()
        _PENDING.set(None)
        ticket = None
        if pending is not None and pending.call_id == key:
            ticket = pending.take()
            # The model may know the tool by another name, such as one with a prefix.
            if pending.tool.endswith(name) or pending.tool == ctx.tool_name:
                name = pending.tool
        try:
            ticket = ticket or await self.gate.decide(name, arguments, key=key)
            return await self.gate.run(
                ticket,
                name,
                _plain(tool_args),
                lambda: self.wrapped.call_tool(asked, tool_args, ctx, tool),
                key=key,
                passing=_PASSING,
            )
        except SentinelError as error:
            raise ToolFailed(error.model_message) from error


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in arguments.items()}
