"""Strands Agents: see plan.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp import StdioServerParameters, stdio_client
from plan import FINAL, TASK, Plan, Server, given
from strands import Agent
from strands.models import Model
from strands.tools.mcp import MCPClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Scripted(Model):
    """The scripted model."""

    def __init__(self, plan: Plan) -> None:
        """Follow the plan."""
        self.plan = plan

    def update_config(self, **_: Any) -> None:
        """Have no configuration."""

    def get_config(self) -> Any:
        """Have no configuration."""
        return {}

    def structured_output(self, *_: Any, **__: Any) -> Any:
        """Refuse: the agent is not asked for it."""
        raise NotImplementedError

    async def stream(
        self, messages: Any, tool_specs: Any = None, *_: Any, **__: Any
    ) -> AsyncGenerator[Any, None]:
        """Take one turn."""
        call = self.plan.turn([spec["name"] for spec in tool_specs or []], results(messages))
        yield {"messageStart": {"role": "assistant"}}
        if call:
            start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
            yield {"contentBlockStart": {"start": start}}
            delta: Any = {"toolUse": {"input": json.dumps(call.arguments)}}
        else:
            yield {"contentBlockStart": {"start": {}}}
            delta = {"text": FINAL}
        yield {"contentBlockDelta": {"delta": delta}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if call else "end_turn"}}


def results(messages: Any) -> list[str]:
    """Return what the model reads of the results."""
    blocks = [block for message in messages for block in message["content"]]
    found = [block["toolResult"] for block in blocks if "toolResult" in block]
    return ["".join(item.get("text", "") for item in result["content"]) for result in found]


def client(server: Server) -> MCPClient:
    """Return the framework's client of a server."""
    if server.url:
        return MCPClient(url=server.url, headers=server.headers)
    command, *arguments = server.command
    started = StdioServerParameters(command=command, args=arguments, env=server.environment)
    return MCPClient(lambda: stdio_client(started))


def main() -> None:
    """Run the agent."""
    plan = given()
    tools: list[Any] = [client(server) for server in plan.servers]
    agent = Agent(model=Scripted(plan), tools=tools, callback_handler=None)
    plan.report(agent(TASK))


main()
