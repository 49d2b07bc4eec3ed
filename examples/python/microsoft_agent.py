"""An agent of Microsoft agent-framework under Sentinel, with a scripted model.

sentinel dev &
export SENTINEL_URL=http://127.0.0.1:8000 SENTINEL_TENANT=platform-eng SENTINEL_API_KEY=…
pip install 'sentinel-mcp[agent-framework]' && python examples/python/microsoft_agent.py
"""

import asyncio
from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    Message,
    tool,
)
from sentinel_mcp.frameworks.agent_framework import SentinelMiddleware

TURNS = [
    [
        Content.from_function_call("call_1", "search_docs", arguments={"query": "tracing"}),
        Content.from_function_call("call_2", "delete_index", arguments={"name": "docs"}),
    ],
    [Content.from_text("That is all.")],
]


class ScriptedClient(FunctionInvocationLayer[Any], BaseChatClient[Any]):
    """Stands for the client of a model."""

    async def _inner_get_response(self, **_: Any) -> ChatResponse:
        return ChatResponse(messages=[Message(role="assistant", contents=TURNS.pop(0))])


@tool(approval_mode="never_require")
def search_docs(query: str) -> str:
    """Search the documentation."""
    return f"three pages about {query}"


@tool(approval_mode="never_require")
def delete_index(name: str) -> str:
    """Delete a search index."""
    return f"deleted {name}"


async def main() -> None:
    """Run the agent once."""
    # These lines govern the agent. The middleware is the last one, where an agent has several.
    sentinel = SentinelMiddleware(
        names={"search_docs": "langsmith-docs-search"}, purpose="documentation_lookup"
    )
    agent = Agent(ScriptedClient(), tools=[search_docs, delete_index], middleware=[sentinel])

    response = await agent.run("Look up tracing, then delete the index.")
    for message in response.messages:
        for content in message.contents:
            if content.type == "function_result":
                print(content.result)
    print(response.text)


asyncio.run(main())
