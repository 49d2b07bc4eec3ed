"""The backstop: no tool starts that is not governed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agents import AgentHooks, FunctionTool, RunHooks

from sentinel_mcp.frameworks._gate import UngovernedToolError
from sentinel_mcp.frameworks.openai_agents import functions, native

if TYPE_CHECKING:
    from collections.abc import Collection

    from agents import Agent, Tool

# It only looks up definitions of tools that are governed themselves.
_HARMLESS: Final = frozenset({"tool_search"})


def make_sure(tool: Tool, hosted: Collection[str] = ()) -> None:
    """Raise `UngovernedToolError` unless a tool is governed, or hosted and accepted as such."""
    if isinstance(tool, FunctionTool):
        governed = functions.is_governed(tool)
    elif isinstance(tool, native.NATIVE):
        governed = native.is_governed(tool)
    else:
        governed = tool.name in hosted or tool.name in _HARMLESS
    if not governed:
        raise UngovernedToolError(f"the tool `{tool.name}` is not governed: it must not run")


class _Checks:
    """Checks before the hooks of the user, which may be none."""

    def __init__(self, inner: Any = None, *, hosted: Collection[str] = ()) -> None:  # noqa: ANN401
        self._inner = inner
        self._hosted = frozenset(hosted)

    async def on_llm_start(self, context: Any, agent: Agent[Any], *rest: Any) -> None:  # noqa: ANN401
        """Look at all tools: hosted ones run without any further hook."""
        for tool in agent.tools:
            make_sure(tool, self._hosted)
        await self._pass_on("on_llm_start", context, agent, *rest)

    async def on_tool_start(self, context: Any, agent: Agent[Any], tool: Tool) -> None:  # noqa: ANN401
        """Stop a tool that is not governed."""
        make_sure(tool, self._hosted)
        await self._pass_on("on_tool_start", context, agent, tool)

    async def on_llm_end(self, *event: Any) -> None:  # noqa: ANN401
        """Tell the hooks of the user."""
        await self._pass_on("on_llm_end", *event)

    async def on_tool_end(self, *event: Any) -> None:  # noqa: ANN401
        """Tell the hooks of the user."""
        await self._pass_on("on_tool_end", *event)

    async def on_handoff(self, *event: Any, **named: Any) -> None:  # noqa: ANN401
        """Tell the hooks of the user."""
        await self._pass_on("on_handoff", *event, **named)

    async def _pass_on(self, name: str, *event: Any, **named: Any) -> None:  # noqa: ANN401
        if self._inner is not None:
            await getattr(self._inner, name)(*event, **named)


class SentinelHooks(_Checks, RunHooks[Any]):
    """Hooks of a run: `Runner.run(agent, …, hooks=SentinelHooks())`, with those of yours in it.

    They also stop agents that are no part of the governed one, such as a handoff that is added
    while it runs. `hosted` names hosted tools that may run without a decision.
    """

    async def on_agent_start(self, *event: Any) -> None:  # noqa: ANN401
        """Tell the hooks of the user."""
        await self._pass_on("on_agent_start", *event)

    async def on_agent_end(self, *event: Any) -> None:  # noqa: ANN401
        """Tell the hooks of the user."""
        await self._pass_on("on_agent_end", *event)


class GovernedAgentHooks(_Checks, AgentHooks[Any]):
    """Hooks of one agent, which `govern` sets; they are there whatever the run is given."""

    async def on_start(self, *event: Any) -> None:  # noqa: ANN401
        """Tell the hooks of the user."""
        await self._pass_on("on_start", *event)

    async def on_end(self, *event: Any) -> None:  # noqa: ANN401
        """Tell the hooks of the user."""
        await self._pass_on("on_end", *event)
