"""AutoGen's `AssistantAgent`, with its `ReplayChatCompletionClient`: see plan.py."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, FunctionExecutionResultMessage, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient
from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams, StreamableHttpServerParams
from plan import AGENT, FINAL, TASK, Call, Plan, Server, given

PATIENCE = 60.0
ABILITIES: Any = {
    "vision": False,
    "function_calling": True,
    "json_output": False,
    "family": "unknown",
    "structured_output": False,
}


def completion(call: Call) -> CreateResult:
    """Return the answer of the model that makes a call."""
    wanted = FunctionCall(id=call.id, name=call.name, arguments=json.dumps(call.arguments))
    usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
    return CreateResult(finish_reason="function_calls", content=[wanted], usage=usage, cached=False)


def client(server: Server) -> McpWorkbench:
    """Return the framework's client of a server."""
    if server.url:
        return McpWorkbench(StreamableHttpServerParams(url=server.url, headers=server.headers))
    command, *arguments = server.command
    started = StdioServerParams(
        command=command, args=arguments, env=server.environment, read_timeout_seconds=PATIENCE
    )
    return McpWorkbench(started)


def replay(plan: Plan, turns: list[dict[str, Any]]) -> None:
    """Give the plan the turns that the framework's model has recorded."""
    for turn in turns:
        shown = [m for m in turn["messages"] if isinstance(m, FunctionExecutionResultMessage)]
        read = [result.content for message in shown for result in message.content]
        plan.turn([tool["name"] for tool in turn["tools"]], read)


async def run(plan: Plan) -> str:
    """Run the agent."""
    answers = [*map(completion, plan.calls), FINAL]
    model = ReplayChatCompletionClient(answers, ABILITIES)
    async with AsyncExitStack() as stack:
        benches = [await stack.enter_async_context(client(server)) for server in plan.servers]
        agent = AssistantAgent(
            AGENT,
            model,
            workbench=benches,
            max_tool_iterations=len(plan.calls) + 1,
            reflect_on_tool_use=False,
        )
        result = await agent.run(task=TASK)
    replay(plan, model.create_calls)
    return str(getattr(result.messages[-1], "content", ""))


PLAN = given()
PLAN.report(asyncio.run(run(PLAN)))
