"""A LangChain agent under Sentinel, with a scripted model: it runs without any model provider.

sentinel dev &
export SENTINEL_URL=http://127.0.0.1:8000 SENTINEL_TENANT=platform-eng SENTINEL_API_KEY=…
pip install 'sentinel-mcp[langchain]' && python examples/python/langchain_agent.py
"""

from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from sentinel_mcp.frameworks.langchain import SentinelMiddleware


class ScriptedModel(GenericFakeChatModel):
    """Stands for a chat model that can call tools."""

    def bind_tools(self, *_: Any, **__: Any) -> "ScriptedModel":
        """Accept any tools."""
        return self


def search_docs(query: str) -> str:
    """Search the documentation."""
    return f"three pages about {query}"


def delete_index(name: str) -> str:
    """Delete a search index."""
    return f"deleted {name}"


calls = [
    {"id": "call_1", "name": "search_docs", "args": {"query": "tracing"}, "type": "tool_call"},
    {"id": "call_2", "name": "delete_index", "args": {"name": "docs"}, "type": "tool_call"},
]
model = ScriptedModel(messages=iter([AIMessage("", tool_calls=calls), AIMessage("That is all.")]))

# These lines govern the agent. The middleware is the last one, where an agent has several.
sentinel = SentinelMiddleware(
    names={"search_docs": "langsmith-docs-search"}, purpose="documentation_lookup"
)
agent = create_agent(model, [search_docs, delete_index], middleware=[sentinel])

result = agent.invoke({"messages": [("user", "Look up tracing, then delete the index.")]})
for message in result["messages"]:
    if isinstance(message, ToolMessage):
        print(f"{message.name}: {message.content}")
print("signed:", sentinel.signature("call_1").wait(10))
