"""Strands Agents: `Agent(…, plugins=[SentinelPlugin()])`.

The call is decided in the last hook before a tool. A middleware then hands a stand-in of the tool
on, which compares what it gets with what was decided; so later hooks and middleware can neither
change the input nor undo a denial.
"""

from __future__ import annotations

import asyncio
import copy
import secrets
import weakref
from typing import TYPE_CHECKING, Any, Final

from strands.agent._agent_as_tool import _AgentAsTool
from strands.hooks import BeforeToolCallEvent
from strands.interrupt import InterruptException
from strands.middleware import ExecuteToolStage
from strands.plugins import Plugin
from strands.tools.structured_output.structured_output_tool import StructuredOutputTool
from strands.types._events import ToolInterruptEvent, ToolResultEvent

from sentinel_mcp.errors import PolicyDenied, SentinelError
from sentinel_mcp.frameworks._gate import Gate, Names, Purpose, Recent, log
from sentinel_mcp.plain import plain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from strands import Agent
    from strands.types.tools import AgentTool

    from sentinel_mcp.settings import Settings
    from sentinel_mcp.signing import Signature
    from sentinel_mcp.ticket import Ticket

# After the hooks of the SDK itself, and of everyone who does not ask for more.
_LAST: Final = float("inf")
_GOVERNED: weakref.WeakSet[Any] = weakref.WeakSet()


class SentinelPlugin(Plugin):
    """Governs the tools of an agent.

    `names` maps tools to registered names, `purpose` is one for all or one for each registered
    name. An agent in a tool needs the plugin as well: without it, the tool is refused.
    """

    name = "sentinel"

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        names: Names = None,
        purpose: Purpose = None,
        agent: str | None = None,
    ) -> None:
        super().__init__()
        self.gate = Gate(settings, names=names, purpose=purpose, agent=agent)
        self._tickets: Recent[Ticket] = Recent()
        # Tool-use ids are those of the model, and need not be unique beyond this process.
        self._run = secrets.token_hex(8)

    def signature(self, tool_use_id: str) -> Signature | None:
        """Return the handle to the manifest of a recent call."""
        return self.gate.signature(tool_use_id)

    def init_agent(self, agent: Agent) -> None:
        """Come last among the hooks."""
        agent.add_hook(self._before, BeforeToolCallEvent, order=_LAST)
        agent.add_middleware(ExecuteToolStage, self._execute)
        _GOVERNED.add(agent)

    async def _before(self, event: BeforeToolCallEvent[Any]) -> None:
        """Decide a call. To raise here would make finished siblings look interrupted."""
        tool, use = event.selected_tool, event.tool_use
        if type(tool) is StructuredOutputTool or event.cancel_tool:
            return
        try:
            _make_sure(tool)
            self._tickets[self._key(event.agent, use)] = await self.gate.decide(
                str(use["name"]),
                _plain(use),
                session=self.session,
                key=str(use["toolUseId"]),
            )
        except SentinelError as error:
            event.cancel_tool = error.model_message

    async def _execute(self, context: Any, next_fn: Any) -> AsyncGenerator[Any, None]:  # noqa: ANN401
        tool = context.tool
        if tool is not None and type(tool) is not StructuredOutputTool:
            ticket = self._tickets.pop(self._key(context.agent, context.tool_use))
            context = context.replace(tool=_stand_in(tool, _Stream(self, tool, ticket)))
        async for event in next_fn(context):
            yield event

    @property
    def session(self) -> str:
        """What calls of this process have in common."""
        return f"strands:{self._run}"

    @staticmethod
    def _key(agent: object, use: Any) -> str:  # noqa: ANN401
        return f"{id(agent)}:{use['toolUseId']}"


class _Stream:
    """Stands where `stream` of a tool was."""

    def __init__(self, plugin: SentinelPlugin, tool: AgentTool, ticket: Ticket | None) -> None:
        self._plugin = plugin
        self._tool = tool
        self._ticket = ticket

    async def __call__(
        self,
        tool_use: Any,  # noqa: ANN401
        invocation_state: dict[str, Any],
        **more: Any,  # noqa: ANN401
    ) -> AsyncGenerator[Any, None]:
        # The tool runs in a task of its own, which a kill can cancel without the agent.
        events: asyncio.Queue[Any] = asyncio.Queue()

        async def run() -> None:
            last: Any = None
            async for event in self._tool.stream(tool_use, invocation_state, **more):
                last = event
                events.put_nowait(event)
            if isinstance(last, ToolInterruptEvent):
                raise _WaitsError
            box.append(last)

        box: list[Any] = []
        task = asyncio.create_task(self._compared(tool_use, run, box))
        task.add_done_callback(lambda _: events.put_nowait(_END))
        try:
            while (event := await events.get()) is not _END:
                yield event
            refusal = await task
            if refusal is not None:
                yield _result(tool_use, refusal)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def _compared(self, tool_use: Any, run: Any, box: list[Any]) -> SentinelError | None:  # noqa: ANN401
        gate, name, key = self._plugin.gate, self._tool.tool_name, str(tool_use["toolUseId"])
        try:
            _make_sure(self._tool)
            arguments = _plain(tool_use)
            ticket, self._ticket = self._ticket, None
            ticket = ticket or await gate.decide(
                name, arguments, session=self._plugin.session, key=key
            )
            await gate.run(
                ticket,
                name,
                _plain(tool_use),
                run,
                key=key,
                passing=(InterruptException, _WaitsError),
                judge=lambda _: _judge(box),
            )
        except _WaitsError:
            return None
        except SentinelError as error:
            return error
        return None


_END: Final = object()


class _WaitsError(Exception):
    """The tool asked a person: no outcome yet."""


def _stand_in(tool: AgentTool, stream: _Stream) -> AgentTool:
    # The class of the tool stays, for what looks at it on the way.
    copied = copy.copy(tool)
    copied.__dict__["stream"] = stream
    return copied


def _make_sure(tool: AgentTool | None) -> None:
    if isinstance(tool, _AgentAsTool) and tool.agent not in _GOVERNED:
        log.error("the agent in the tool `%s` has no SentinelPlugin: refused", tool.tool_name)
        reason = f"the agent in `{tool.tool_name}` is not governed"
        raise PolicyDenied(reason, "ungoverned_sub_agent")


def _plain(tool_use: Any) -> dict[str, Any]:  # noqa: ANN401
    arguments = tool_use["input"]
    if not isinstance(arguments, dict):
        raise PolicyDenied("they are not one JSON object", "invalid_arguments")
    return {name: plain(value) for name, value in arguments.items()}


def _result(tool_use: Any, refusal: SentinelError) -> ToolResultEvent:  # noqa: ANN401
    return ToolResultEvent(
        {
            "toolUseId": str(tool_use["toolUseId"]),
            "status": "error",
            "content": [{"text": refusal.model_message}],
        }
    )


def _judge(box: list[Any]) -> tuple[bool, object]:
    event = box[0] if box else None
    result = event.tool_result if isinstance(event, ToolResultEvent) else event
    if isinstance(result, dict) and "status" in result:
        return result["status"] != "error", plain(result.get("content"))
    return True, result
