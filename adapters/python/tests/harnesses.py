"""Stand-ins for frameworks: an agent loop with the core, asynchronous and blocking."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sentinel_mcp import AsyncSentinel, Call, Sentinel, SentinelError, governed
from sentinel_mcp.conformance import Exploded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentinel_mcp import Settings
    from sentinel_mcp.conformance import PlannedCall, Session, Toolbox


class Wrapping:
    """A framework that awaits a wrapper around each tool."""

    name = "wrapping"
    lacks: Mapping[str, str] = {}

    def open(self, toolbox: Toolbox, settings: Settings) -> Session:
        return _Wrapping(toolbox, settings)


class _Wrapping:
    def __init__(self, toolbox: Toolbox, settings: Settings) -> None:
        self._tools = toolbox.coroutines
        self._client = AsyncSentinel(settings)

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        texts = await asyncio.gather(*map(self._call, calls))
        return dict(zip((call.id for call in calls), texts, strict=True))

    async def _call(self, call: PlannedCall) -> str:
        try:
            ticket = await self._client.decide(Call(call.tool, arguments=call.arguments))
            now: dict[str, Any] = call.changed_to or call.arguments
            return await ticket.run(call.tool, now, lambda: self._tools[call.tool](**now))
        except SentinelError as denied:
            return denied.model_message
        except Exploded as error:
            return f"the tool failed: {error}"


class Hooked:
    """A framework with a hook before and one after each tool, which it runs in threads."""

    name = "hooked"
    lacks: Mapping[str, str] = {}

    def open(self, toolbox: Toolbox, settings: Settings) -> Session:
        return _Hooked(toolbox, settings)


class _Hooked:
    def __init__(self, toolbox: Toolbox, settings: Settings) -> None:
        self._tools = toolbox.functions
        self._client = Sentinel(settings)

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        texts = await asyncio.gather(*(asyncio.to_thread(self._call, call) for call in calls))
        return dict(zip((call.id for call in calls), texts, strict=True))

    def _call(self, call: PlannedCall) -> str:
        try:
            ticket = self._client.decide(Call(call.tool, arguments=call.arguments))
            now: dict[str, Any] = call.changed_to or call.arguments
            ticket.verify(call.tool, now)
            try:
                with ticket.running():
                    result = self._tools[call.tool](**now)
            except SentinelError:
                ticket.finish("cancelled").settle()
                raise
            except Exploded as error:
                ticket.finish("failed", str(error)).settle()
                return f"the tool failed: {error}"
            ticket.finish("succeeded", result).settle()
        except SentinelError as denied:
            return denied.model_message
        return result


class Decorated:
    """Tools that are decorated, and called by anyone."""

    name = "decorated"
    lacks: Mapping[str, str] = {"changed_arguments": "nothing comes between wrapper and function"}

    def open(self, toolbox: Toolbox, settings: Settings) -> Session:
        return _Decorated(toolbox, settings)


class _Decorated:
    def __init__(self, toolbox: Toolbox, settings: Settings) -> None:
        tools = toolbox.coroutines.items()
        self._tools = {name: governed(name, settings=settings)(tool) for name, tool in tools}

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        return {call.id: await self._call(call) for call in calls}

    async def _call(self, call: PlannedCall) -> str:
        try:
            return await self._tools[call.tool](**call.arguments)
        except (SentinelError, Exploded) as error:
            return getattr(error, "model_message", str(error))


HARNESSES = (Wrapping(), Hooked(), Decorated())
