"""A Strands agent under Sentinel, with a scripted model: it runs without any model provider.

sentinel dev &
export SENTINEL_URL=http://127.0.0.1:8000 SENTINEL_TENANT=platform-eng SENTINEL_API_KEY=…
pip install 'sentinel-mcp[strands]' && python examples/python/strands_agent.py
"""

import json
from collections.abc import AsyncIterator
from typing import Any

from sentinel_mcp.frameworks.strands import SentinelPlugin
from strands import Agent, tool
from strands.models import Model

TURNS: list[list[tuple[str, str, dict[str, str]]]] = [
    [
        ("call_1", "search_docs", {"query": "tracing"}),
        ("call_2", "delete_index", {"name": "docs"}),
    ],
    [],
]


class ScriptedModel(Model):
    """Stands for a model."""

    def update_config(self, **_: Any) -> None:
        """Have no configuration."""

    def get_config(self) -> dict[str, Any]:
        """Have no configuration."""
        return {}

    def structured_output(self, *_: Any, **__: Any) -> Any:
        """Have no such output."""
        raise NotImplementedError

    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        """Answer as the script says."""
        calls = TURNS.pop(0)
        yield {"messageStart": {"role": "assistant"}}
        for call_id, name, arguments in calls:
            yield {
                "contentBlockStart": {"start": {"toolUse": {"toolUseId": call_id, "name": name}}}
            }
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(arguments)}}}}
            yield {"contentBlockStop": {}}
        if not calls:
            yield {"contentBlockDelta": {"delta": {"text": "That is all."}}}
            yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if calls else "end_turn"}}


@tool
def search_docs(query: str) -> str:
    """Search the documentation."""
    return f"three pages about {query}"


@tool
def delete_index(name: str) -> str:
    """Delete a search index."""
    return f"deleted {name}"


# These lines govern the agent.
sentinel = SentinelPlugin(
    names={"search_docs": "langsmith-docs-search"}, purpose="documentation_lookup"
)
agent = Agent(
    model=ScriptedModel(),
    tools=[search_docs, delete_index],
    plugins=[sentinel],
    callback_handler=None,
)

agent("Look up tracing, then delete the index.")
for message in agent.messages:
    for block in message["content"]:
        if "toolResult" in block:
            print(block["toolResult"]["content"][0]["text"])
signature = sentinel.signature("call_1")
print("signed:", signature.wait(10) if signature else None)
