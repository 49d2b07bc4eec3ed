"""Google ADK: `Runner(…, plugins=[SentinelPlugin()])`, or `App(…, plugins=[…])`.

The plugin decides a call before the tool runs. Callbacks that come later may still rewrite the
arguments, so the tool itself is made to compare: it runs only what was decided, and only for the
calls of runners that have the plugin.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.adk.plugins.base_plugin import BasePlugin
from google.adk.tools.agent_tool import AgentTool
from google.adk.tools.set_model_response_tool import SetModelResponseTool
from google.adk.tools.transfer_to_agent_tool import TransferToAgentTool

from sentinel_mcp.errors import PolicyDenied, SentinelError
from sentinel_mcp.frameworks._gate import (
    Gate,
    Names,
    Purpose,
    UngovernedToolError,
    log,
)
from sentinel_mcp.plain import plain

if TYPE_CHECKING:
    from collections.abc import Collection

    from google.adk.agents.callback_context import CallbackContext
    from google.adk.models.llm_request import LlmRequest
    from google.adk.tools.base_tool import BaseTool
    from google.adk.tools.tool_context import ToolContext

    from sentinel_mcp.settings import Settings
    from sentinel_mcp.signing import Signature
    from sentinel_mcp.ticket import Ticket

# They only steer the flow of the framework. What they lead to is governed itself.
_CONTROL: Final = (TransferToAgentTool, SetModelResponseTool)


@dataclass
class _Entry:
    """A call that was decided, until its tool runs."""

    gate: Gate
    name: str
    key: str
    ticket: Ticket | None

    def take(self) -> Ticket | None:
        ticket, self.ticket = self.ticket, None
        return ticket


# By the context that the framework makes for each call, and hands to callbacks and tool alike.
_ENTRIES: weakref.WeakKeyDictionary[Any, _Entry] = weakref.WeakKeyDictionary()


class SentinelPlugin(BasePlugin):
    """Governs the tools of all agents of a runner.

    `names` maps tools to registered names, `purpose` is one for all or one for each registered
    name. `native` names what the model's provider runs (`google_search`, `code_execution`, …) that
    may run without a decision; others end the run before the model is asked.
    """

    def __init__(  # noqa: PLR0913 - most are named
        self,
        settings: Settings | None = None,
        *,
        names: Names = None,
        purpose: Purpose = None,
        agent: str | None = None,
        native: Collection[str] = (),
        name: str = "sentinel",
    ) -> None:
        super().__init__(name=name)
        self.gate = Gate(settings, names=names, purpose=purpose, agent=agent)
        self._native = frozenset(native)

    def signature(self, function_call_id: str) -> Signature | None:
        """Return the handle to the manifest of a recent call."""
        return self.gate.signature(function_call_id)

    async def before_model_callback(
        self, *, callback_context: CallbackContext, llm_request: LlmRequest
    ) -> None:
        """Stop what the model's provider runs, and code executors: no callback sees their calls."""
        found = {name for tool in llm_request.config.tools or () for name in _native_parts(tool)}
        agent = callback_context._invocation_context.agent  # noqa: SLF001 - not public elsewhere
        if getattr(agent, "code_executor", None) is not None:
            found.add("code_execution")
        for name in sorted(found - self._native):
            raise UngovernedToolError(f"`{name}` cannot be governed: it must not run")

    async def before_tool_callback(
        self, *, tool: BaseTool, tool_args: dict[str, Any], tool_context: ToolContext
    ) -> dict[str, Any] | None:
        """Decide a call. What is returned stands for the result of the tool."""
        if type(tool) in _CONTROL:
            return None
        key = tool_context.function_call_id or ""
        try:
            _make_sure(tool)
            ticket = await self.gate.decide(
                tool.name, _plain(tool_args), session=_session(tool_context), key=key
            )
        except SentinelError as error:
            return _refusal(error)
        _ENTRIES[tool_context] = _Entry(self.gate, tool.name, key, ticket)
        _stand_in(tool)
        return None

    async def after_tool_callback(
        self,
        *,
        tool: BaseTool,
        tool_args: dict[str, Any],
        tool_context: ToolContext,
        result: Any,  # noqa: ANN401
    ) -> dict[str, Any] | None:
        """Compare what did not run through `run_async`, such as a streaming tool of a live run."""
        entry = _ENTRIES.get(tool_context)
        ticket = entry.take() if entry is not None else None
        if entry is None or ticket is None:
            return None
        arguments = _plain(tool_args)
        try:
            await entry.gate.run(
                ticket, tool.name, arguments, lambda: _known(result), key=entry.key
            )
        except SentinelError as error:
            log.error("the tool `%s` did not run what was decided: %s", tool.name, error)
            return _refusal(error)
        return None


class _RunAsync:
    """Stands where `run_async` of a tool was."""

    def __init__(self, tool: BaseTool) -> None:
        self._tool = tool

    async def __call__(self, *, args: dict[str, Any], tool_context: ToolContext) -> Any:  # noqa: ANN401
        tool = self._tool
        run = type(tool).run_async
        entry = _ENTRIES.get(tool_context)
        if entry is None:
            # A runner without the plugin has the same tool.
            return await run(tool, args=args, tool_context=tool_context)
        gate, arguments = entry.gate, _plain(args)
        try:
            ticket = entry.take() or await gate.decide(
                tool.name, arguments, session=_session(tool_context), key=entry.key
            )
            return await gate.run(
                ticket,
                tool.name,
                _plain(args),
                lambda: run(tool, args=args, tool_context=tool_context),
                key=entry.key,
            )
        except SentinelError as error:
            return _refusal(error)

    def __deepcopy__(self, memo: dict[int, Any]) -> _RunAsync:
        """Run the copy, where a tool was copied."""
        return _RunAsync(memo.get(id(self._tool), self._tool))


def _stand_in(tool: BaseTool) -> None:
    if not isinstance(tool.__dict__.get("run_async"), _RunAsync):
        tool.__dict__["run_async"] = _RunAsync(tool)


def _make_sure(tool: BaseTool) -> None:
    if isinstance(tool, AgentTool) and not tool.include_plugins:
        log.error("the agent in the tool `%s` runs without plugins: refused", tool.name)
        reason = f"the agent in `{tool.name}` is not governed"
        raise PolicyDenied(reason, "ungoverned_sub_agent")


def _session(tool_context: ToolContext) -> str:
    return f"adk:{tool_context.session.id}:{tool_context.invocation_id}"


def _native_parts(tool: Any) -> list[str]:  # noqa: ANN401 - some models take dicts
    fields = tool.model_dump(exclude_none=True) if hasattr(tool, "model_dump") else dict(tool)
    return [name for name in fields if name != "function_declarations"]


def _refusal(error: SentinelError) -> dict[str, Any]:
    # The model reads all of it, and the bare reason has words that it might take for others.
    return {"error": error.model_message, "code": error.code, "decision_id": error.decision_id}


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in arguments.items()}


async def _known(result: Any) -> Any:  # noqa: ANN401
    return result
