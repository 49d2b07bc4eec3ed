"""The identifiers of tools, as the control plane has registered them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sentinel_mcp import answers

if TYPE_CHECKING:
    from sentinel_mcp.core import Core

# Seconds after which a name that was unknown is looked up again.
_UNKNOWN_FOR: Final = 10.0
_PAGES: Final = 100


class Registry:
    """Looks up the tools of the tenant once, and again when one is missing."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._looked_at = -_UNKNOWN_FOR

    async def id_of(self, core: Core, name: str) -> str:
        """Return the identifier of a tool, or nothing when there is no such tool.

        Raises a `SentinelError` when the control plane does not say.
        """
        if name not in self._ids and time.monotonic() - self._looked_at >= _UNKNOWN_FOR:
            self._ids = await _every(core)
            self._looked_at = time.monotonic()
        return self._ids.get(name, "")


async def _every(core: Core) -> dict[str, str]:
    path = f"/v1/tools?limit=100&tenant={quote(core.settings.tenant, safe='')}"
    found: dict[str, str] = {}
    cursor: str | None = ""
    for _ in range(_PAGES):
        more = f"&cursor={quote(cursor, safe='')}" if cursor else ""
        answer = await core.http.get(path + more, core.settings.timeout)
        tools, cursor = answers.tools(answer)
        found.update(tools)
        if cursor is None:
            break
    return found
