"""Function tools: decided in the last input guardrail, compared in the invoker itself."""

from __future__ import annotations

import copy
import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from agents import FunctionTool, ToolGuardrailFunctionOutput, ToolInputGuardrail

from sentinel_mcp.errors import SentinelError
from sentinel_mcp.frameworks._gate import Pending, object_of, refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agents.tool_context import ToolContext
    from agents.tool_guardrails import ToolInputGuardrailData

    from sentinel_mcp.frameworks._gate import Gate
    from sentinel_mcp.ticket import Ticket

    Invoke = Callable[[ToolContext[Any], str], Awaitable[Any]]


# From the guardrail to the invoker, in one task and its children.
PENDING: ContextVar[Pending | None] = ContextVar("sentinel_mcp_openai_agents", default=None)


class Guardrail(ToolInputGuardrail[Any]):
    """Decides a call. It never raises, which would end the run and lose what siblings did."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(guardrail_function=self._check, name="sentinel")
        self.gate = gate

    async def _check(self, data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        context = data.context
        try:
            arguments = object_of(context.tool_arguments)
            ticket = await self.gate.decide(context.tool_name, arguments, key=context.tool_call_id)
        except SentinelError as error:
            PENDING.set(None)
            return ToolGuardrailFunctionOutput.reject_content(error.model_message, refused(error))
        PENDING.set(Pending(context.tool_call_id, ticket, context.tool_name))
        return ToolGuardrailFunctionOutput.allow({"decision_id": ticket.decision_id})

    def __deepcopy__(self, _memo: object) -> Guardrail:
        """Share the guardrail among copies of its tool."""
        return self


def is_governed(tool: FunctionTool) -> bool:
    """Whether a tool has our guardrail; where it stands among them does not matter."""
    return any(isinstance(each, Guardrail) for each in tool.tool_input_guardrails or ())


def governed_function(tool: FunctionTool, gate: Gate) -> FunctionTool:
    """Return a governed copy of a tool."""
    governed = copy.copy(tool)
    governed.tool_input_guardrails = [*(tool.tool_input_guardrails or ()), Guardrail(gate)]
    governed.on_invoke_tool = _invoker(governed, gate)
    return governed


def _invoker(tool: FunctionTool, gate: Gate) -> Invoke:
    invoker = tool.on_invoke_tool
    inside = getattr(invoker, "_invoke_tool_impl", None)
    if inside is None:
        return _compared(invoker, tool, gate)
    # Inside the SDK's failure handling, so that a tool that raises is signed as failed.
    ours = copy.copy(invoker)
    ours._invoke_tool_impl = _compared(inside, tool, gate)  # type: ignore[attr-defined] # noqa: SLF001
    return ours


def _compared(invoke: Invoke, tool: FunctionTool, gate: Gate) -> Invoke:
    name = tool.name

    @functools.wraps(invoke, updated=("__dict__",))
    async def compared(context: ToolContext[Any], text: str) -> Any:  # noqa: ANN401
        key = context.tool_call_id
        try:
            arguments = object_of(text)
            ticket = await taken(gate, name, arguments, key)
            return await gate.run(
                ticket, name, arguments, lambda: invoke(context, text), key=key, judge=None
            )
        except SentinelError as error:
            return error.model_message

    return compared


async def taken(gate: Gate, name: str, arguments: dict[str, Any], key: str) -> Ticket:
    """Return the ticket of the guardrail, or a new one: a guardrail may have been left out."""
    pending = PENDING.get()
    PENDING.set(None)
    ticket = pending.take() if pending is not None and pending.call_id == key else None
    return ticket or await gate.decide(name, arguments, key=key)
