"""CrewAI: `crew = govern(crew)` or `agent = govern(agent)`, before it is kicked off.

Each tool is put into one that decides a call with the arguments that the tool really gets, and runs
it only then. A hook decides the calls of tools that CrewAI adds while it runs, such as those for
delegation. Hooks alone would not do: one that raises lets the tool run, and the reason of one that
blocks is lost.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from crewai import Agent, Crew
from crewai.hooks import register_after_tool_call_hook, register_before_tool_call_hook
from crewai.tools import BaseTool
from crewai.tools.tool_failure import ToolFailure
from pydantic import PrivateAttr

from sentinel_mcp.errors import SentinelError
from sentinel_mcp.frameworks._gate import Gate, Names, Purpose, log
from sentinel_mcp.plain import plain

if TYPE_CHECKING:
    from crewai.hooks import ToolCallHookContext

    from sentinel_mcp.settings import Settings
    from sentinel_mcp.ticket import Ticket


def govern(  # noqa: PLR0913 - most are named
    subject: Any,  # noqa: ANN401 - a crew or an agent
    settings: Settings | None = None,
    *,
    gate: Gate | None = None,
    names: Names = None,
    purpose: Purpose = None,
    agent: str | None = None,
) -> Any:  # noqa: ANN401
    """Govern the tools of a crew or an agent, in place, and return it.

    `names` maps tools to registered names, `purpose` is one for all or one for each registered
    name.
    """
    gate = gate or Gate(settings, names=names, purpose=purpose, agent=agent)
    if isinstance(subject, Crew):
        for each in [*subject.agents, subject.manager_agent]:
            if each is not None:
                _govern_agent(each, gate)
        for task in subject.tasks:
            task.tools = [_governed(each, gate) for each in task.tools or ()]
            if task.agent is not None:
                _govern_agent(task.agent, gate)
    elif isinstance(subject, Agent):
        _govern_agent(subject, gate)
    else:
        raise TypeError(f"neither a crew nor an agent: `{type(subject).__name__}`")
    return subject


class GovernedTool(BaseTool):
    """A tool that runs the one in it when a call is allowed."""

    _inner: BaseTool = PrivateAttr()
    _gate: Gate = PrivateAttr()

    @classmethod
    def around(cls, inner: BaseTool, gate: Gate) -> GovernedTool:
        """Return a tool that looks like `inner` to an agent."""
        fields = {
            name: getattr(inner, name)
            for name in BaseTool.model_fields
            if name not in {"tool_type", "args_schema"}
        }
        governed = cls(args_schema=inner.args_schema, **fields)
        # The constructor puts the schema into it once more.
        governed.description = inner.description
        governed._inner, governed._gate = inner, gate
        return governed

    def _run(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Decide a call and run it."""
        inner = self._inner
        if _is_asynchronous(inner):
            # A loop of its own, in which a kill can cancel the tool.
            return asyncio.run(self._arun(*args, **kwargs))
        arguments = self._arguments(args, kwargs)
        try:
            ticket = self._gate.decide_blocking(self.name, arguments)
            return self._gate.run_blocking(
                ticket,
                self.name,
                self._arguments(args, kwargs),
                lambda: inner._run(*args, **kwargs),  # noqa: SLF001
            )
        except SentinelError as error:
            return ToolFailure(message=error.model_message)

    async def _arun(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """As `_run`, for crews that are kicked off asynchronously."""
        inner = self._inner
        arguments = self._arguments(args, kwargs)
        try:
            ticket = await self._gate.decide(self.name, arguments)
            return await self._gate.run(
                ticket,
                self.name,
                self._arguments(args, kwargs),
                lambda: _awaited(inner, args, kwargs),
            )
        except SentinelError as error:
            return ToolFailure(message=error.model_message)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        named = dict(zip(self.args_schema.model_fields, args, strict=False))
        return {name: plain(value) for name, value in {**named, **kwargs}.items()}


async def _awaited(inner: BaseTool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    if _is_asynchronous(inner):
        return await inner._arun(*args, **kwargs)  # noqa: SLF001
    return await asyncio.to_thread(inner._run, *args, **kwargs)  # noqa: SLF001


def _is_asynchronous(tool: BaseTool) -> bool:
    function = getattr(tool, "func", None)
    if function is not None:
        return inspect.iscoroutinefunction(function)
    return inspect.iscoroutinefunction(tool._run) or type(tool)._arun is not BaseTool._arun  # noqa: SLF001


def _governed(tool: Any, gate: Gate) -> Any:  # noqa: ANN401
    return tool if isinstance(tool, GovernedTool) else GovernedTool.around(tool, gate)


def _govern_agent(agent: Any, gate: Gate) -> None:  # noqa: ANN401
    agent.tools = [_governed(each, gate) for each in agent.tools or ()]
    _Backstop.cover(agent, gate)


class _Backstop:
    """Decides the calls of tools that no `GovernedTool` is around. CrewAI's hooks are global."""

    _lock = threading.Lock()
    _installed = False
    _gates: ClassVar[dict[str, Gate]] = {}
    """By the identifier of the agent, which copies of it keep."""
    _local = threading.local()

    @classmethod
    def cover(cls, agent: Any, gate: Gate) -> None:  # noqa: ANN401
        with cls._lock:
            cls._gates[str(agent.id)] = gate
            if not cls._installed:
                cls._installed = True
                register_before_tool_call_hook(cls.before)
                register_after_tool_call_hook(cls.after)

    @classmethod
    def before(cls, context: ToolCallHookContext) -> bool | None:
        """Decide a call, or block it. Nothing may be raised here: the tool would run."""
        cls._local.state = None
        try:
            gate = cls._gates.get(str(getattr(context.agent, "id", "")))
            if gate is None or _is_inside(context):
                return None
            arguments = {name: plain(value) for name, value in context.tool_input.items()}
            ticket = gate.decide_blocking(context.tool_name, arguments)
            ticket.verify(gate.registered(context.tool_name), arguments)
        except SentinelError as error:
            cls._local.state = error
            return False
        except BaseException:  # noqa: BLE001 - whatever it is, the tool must not run
            log.exception("a check failed")
            return False
        cls._local.state = ticket
        return None

    @classmethod
    def after(cls, context: ToolCallHookContext) -> str | None:
        """Tell the model why, or have the outcome signed."""
        state, cls._local.state = getattr(cls._local, "state", None), None
        if isinstance(state, SentinelError):
            return state.model_message
        if state is not None:
            ticket: Ticket = state
            ticket.finish("succeeded", plain(context.tool_result)).settle()
        return None


def _is_inside(context: ToolCallHookContext) -> bool:
    """Whether a `GovernedTool` is what will run."""
    tool: Any = context.tool
    return isinstance(tool, GovernedTool) or isinstance(
        getattr(tool, "_original_tool", None), GovernedTool
    )
