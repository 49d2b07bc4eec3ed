"""LangChain's `create_agent`, on LangGraph, with langchain-mcp-adapters: see plan.py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_mcp_adapters.client import MultiServerMCPClient
from plan import FINAL, TASK, Plan, Server, given

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable


class Scripted(BaseChatModel):
    """The scripted model."""

    plan: Any
    offered: list[str] = []  # noqa: RUF012 - a field of pydantic

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Runnable[Any, Any]:
        """Note which tools are offered."""
        return self.model_copy(update={"offered": [tool.name for tool in tools]})

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        read = [message.text for message in messages if isinstance(message, ToolMessage)]
        call = self.plan.turn(self.offered, read)
        message = AIMessage(FINAL)
        if call:
            wanted: Any = {"name": call.name, "args": call.arguments, "id": call.id}
            message = AIMessage("", tool_calls=[wanted])
        return ChatResult(generations=[ChatGeneration(message=message)])


def connection(server: Server) -> Any:
    """Return how the framework's client reaches a server."""
    if server.url:
        return {"transport": "streamable_http", "url": server.url, "headers": server.headers}
    command, *arguments = server.command
    env = server.environment
    return {"transport": "stdio", "command": command, "args": arguments, "env": env}


async def run(plan: Plan) -> str:
    """Run the agent."""
    client = MultiServerMCPClient({server.name: connection(server) for server in plan.servers})
    agent = create_agent(Scripted(plan=plan), await client.get_tools())
    steps: Any = {"recursion_limit": 3 * len(plan.calls) + 5}
    state = await agent.ainvoke({"messages": [("user", TASK)]}, steps)
    return str(state["messages"][-1].text)


PLAN = given()
PLAN.report(asyncio.run(run(PLAN)))
