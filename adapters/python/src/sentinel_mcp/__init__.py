"""Govern the tool calls of AI agents with Sentinel MCP.

```python
from sentinel_mcp import governed

@governed("langsmith-docs-search", purpose="documentation_lookup")
def search(query: str) -> str: ...
```
"""

from sentinel_mcp.call import Call, Decision
from sentinel_mcp.client import AsyncSentinel, Sentinel
from sentinel_mcp.decorator import governed
from sentinel_mcp.errors import ControlPlaneUnavailable, PolicyDenied, SentinelError
from sentinel_mcp.settings import Settings
from sentinel_mcp.signing import Signature
from sentinel_mcp.spool import SpoolStats
from sentinel_mcp.ticket import Ticket, current_ticket

__version__ = "0.1.0"

__all__ = [
    "AsyncSentinel",
    "Call",
    "ControlPlaneUnavailable",
    "Decision",
    "PolicyDenied",
    "Sentinel",
    "SentinelError",
    "Settings",
    "Signature",
    "SpoolStats",
    "Ticket",
    "current_ticket",
    "governed",
]
