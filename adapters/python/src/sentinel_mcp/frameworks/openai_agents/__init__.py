"""OpenAI Agents SDK: `agent = govern(agent)`, and `Runner.run(agent, …, hooks=SentinelHooks())`."""

from sentinel_mcp.frameworks._gate import UngovernedToolError
from sentinel_mcp.frameworks.openai_agents.agents import govern
from sentinel_mcp.frameworks.openai_agents.hooks import SentinelHooks

__all__ = ["SentinelHooks", "UngovernedToolError", "govern"]
