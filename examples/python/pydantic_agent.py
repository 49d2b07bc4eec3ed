"""A Pydantic AI agent under Sentinel, with a scripted model: it runs without any model provider.

sentinel dev &
export SENTINEL_URL=http://127.0.0.1:8000 SENTINEL_TENANT=platform-eng SENTINEL_API_KEY=…
pip install 'sentinel-mcp[pydantic-ai]' && python examples/python/pydantic_agent.py
"""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel
from sentinel_mcp.frameworks.pydantic_ai import SentinelCapability

TURNS = [
    [
        ToolCallPart("search_docs", {"query": "tracing"}, tool_call_id="call_1"),
        ToolCallPart("delete_index", {"name": "docs"}, tool_call_id="call_2"),
    ],
    [TextPart("That is all.")],
]


def scripted(*_: Any) -> ModelResponse:
    """Stand for a model."""
    return ModelResponse(parts=TURNS.pop(0))


def search_docs(query: str) -> str:
    """Search the documentation."""
    return f"three pages about {query}"


def delete_index(name: str) -> str:
    """Delete a search index."""
    return f"deleted {name}"


# These lines govern the agent. Wherever the capability is listed, it comes last.
sentinel = SentinelCapability(
    names={"search_docs": "langsmith-docs-search"}, purpose="documentation_lookup"
)
agent = Agent(FunctionModel(scripted), tools=[search_docs, delete_index], capabilities=[sentinel])

result = agent.run_sync("Look up tracing, then delete the index.")
for message in result.all_messages():
    for part in message.parts:
        if isinstance(part, ToolReturnPart):
            print(f"{part.tool_name}: {part.content}")
print(result.output)
