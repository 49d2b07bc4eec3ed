"""From an agent to a governed copy of it and of all it can reach."""

from __future__ import annotations

import copy
import types
import weakref
from typing import TYPE_CHECKING, Any

from agents import Agent, FunctionTool, Handoff

from sentinel_mcp.frameworks._gate import Gate, Names, Purpose, UngovernedToolError
from sentinel_mcp.frameworks.openai_agents import functions, native
from sentinel_mcp.frameworks.openai_agents.functions import governed_function
from sentinel_mcp.frameworks.openai_agents.hooks import GovernedAgentHooks, make_sure
from sentinel_mcp.frameworks.openai_agents.mcp import GovernedServer
from sentinel_mcp.frameworks.openai_agents.native import governed_native

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from agents import Tool

    from sentinel_mcp.settings import Settings


def govern(  # noqa: PLR0913 - most are named
    agent: Agent[Any],
    settings: Settings | None = None,
    *,
    gate: Gate | None = None,
    names: Names = None,
    purpose: Purpose = None,
    hosted: Collection[str] = (),
) -> Agent[Any]:
    """Return a copy of an agent whose tools run only when they are allowed.

    Its handoffs, the agents among its tools and its MCP servers are governed, too. `names` maps
    tools to registered names, `purpose` is one for all or one for each registered name. Raises
    `UngovernedToolError` for a tool that cannot be governed; `hosted` names tools of the model's
    provider (`web_search`, …) that may run without a decision.
    """
    gate = gate or Gate(settings, names=names, purpose=purpose, agent=None)
    return _Walk(gate, hosted).agent(agent)


class _Walk:
    """Visits each agent once: handoffs may lead back."""

    def __init__(self, gate: Gate, hosted: Collection[str]) -> None:
        self._gate = gate
        self._hosted = frozenset(hosted)
        # With the original, so that its identity is not given to another.
        self._seen: dict[int, tuple[Agent[Any], Agent[Any]]] = {}

    def agent(self, agent: Agent[Any]) -> Agent[Any]:
        if not isinstance(agent, Agent):
            raise UngovernedToolError(f"a `{type(agent).__name__}` cannot be governed")
        if isinstance(agent.hooks, GovernedAgentHooks):
            return agent
        if id(agent) in self._seen:
            return self._seen[id(agent)][1]
        governed = agent.clone(hooks=GovernedAgentHooks(agent.hooks, hosted=self._hosted))
        self._seen[id(agent)] = (agent, governed)
        governed.tools = [self._tool(each) for each in agent.tools]
        governed.mcp_servers = [
            each if type(each) is GovernedServer else GovernedServer(each, self._gate)  # type: ignore[abstract]
            for each in agent.mcp_servers
        ]
        governed.handoffs = [self._handoff(each) for each in agent.handoffs]
        return governed

    def _tool(self, tool: Tool) -> Tool:
        if isinstance(tool, FunctionTool):
            if functions.is_governed(tool):
                return tool
            inner = getattr(tool, "_agent_instance", None)
            if inner is not None:
                tool = _with_agent(tool, inner, self.agent(inner))
            return governed_function(tool, self._gate)
        if isinstance(tool, native.NATIVE) and not native.is_governed(tool):
            if tool.name in self._hosted:
                return tool
            return governed_native(tool, self._gate)
        make_sure(tool, self._hosted)
        return tool

    def _handoff(self, handoff: Agent[Any] | Handoff[Any, Any]) -> Agent[Any] | Handoff[Any, Any]:
        if not isinstance(handoff, Handoff):
            return self.agent(handoff)
        governed = copy.copy(handoff)
        invoke = handoff.on_invoke_handoff

        async def invoked(*arguments: Any) -> Agent[Any]:  # noqa: ANN401
            return self.agent(await invoke(*arguments))

        governed.on_invoke_handoff = invoked
        target = handoff._agent_ref() if handoff._agent_ref is not None else None  # noqa: SLF001
        if isinstance(target, Agent):
            governed._agent_ref = weakref.ref(self.agent(target))  # noqa: SLF001
        return governed


def _with_agent(tool: FunctionTool, agent: Agent[Any], governed: Agent[Any]) -> FunctionTool:
    """Return an agent's tool that runs the governed agent.

    `as_tool` holds its agent in a closure only, and its options nowhere else, so the closure is
    made again. Where that cannot be done, the tool is refused.
    """
    if governed is agent:
        return tool
    invoker = tool.on_invoke_tool
    inside = getattr(invoker, "_invoke_tool_impl", None)
    rebound = _rebound(inside, agent, governed) if isinstance(inside, types.FunctionType) else None
    if rebound is None:
        raise UngovernedToolError(
            f"the agent in the tool `{tool.name}` cannot be reached: "
            f"make the tool from the governed agent, `govern(agent).as_tool(…)`"
        )
    result = copy.copy(tool)
    result.on_invoke_tool = copy.copy(result.on_invoke_tool)
    result.on_invoke_tool._invoke_tool_impl = rebound  # type: ignore[attr-defined] # noqa: SLF001
    result._agent_instance = governed  # noqa: SLF001
    return result


def _rebound(function: types.FunctionType, old: object, new: object) -> Callable[..., Any] | None:
    cells = function.__closure__ or ()
    if not any(_holds(cell, old) for cell in cells):
        return None
    closure = tuple(types.CellType(new) if _holds(cell, old) else cell for cell in cells)
    copied = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, closure
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__dict__.update(function.__dict__)
    return copied


def _holds(cell: types.CellType, value: object) -> bool:
    try:
        return cell.cell_contents is value
    except ValueError:  # An empty cell.
        return False
