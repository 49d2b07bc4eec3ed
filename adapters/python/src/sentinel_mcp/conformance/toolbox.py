"""The tools of the kit. They record what is done to them."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sentinel_mcp.ticket import current_ticket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LONGEST_WAIT: Final = 10.0
NAMES: Final = ("lookup", "forbidden", "metered", "wait", "explode", "unregistered")


class Exploded(Exception):  # noqa: N818 - what the tool did
    """What the tool `explode` raises."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a tool."""

    tool: str
    arguments: dict[str, Any]


@dataclass
class Toolbox:
    """The tools, each with one argument, `query`, and a text as its result.

    Give the framework either the `coroutines` or the `functions`, under these names.
    """

    started: list[Run] = field(default_factory=list)
    finished: list[Run] = field(default_factory=list)
    cancelled: list[Run] = field(default_factory=list)
    waiting: threading.Event = field(default_factory=threading.Event)
    """Set while `wait` runs."""
    stopped_at: float | None = None
    """When `wait` was cancelled, by the monotonic clock."""

    @property
    def coroutines(self) -> dict[str, Callable[..., Awaitable[str]]]:
        """The tools as coroutine functions."""
        return {name: self._coroutine(name) for name in NAMES}

    @property
    def functions(self) -> dict[str, Callable[..., str]]:
        """The tools as plain functions."""
        return {name: self._function(name) for name in NAMES}

    def _coroutine(self, name: str) -> Callable[..., Awaitable[str]]:
        async def tool(query: str) -> str:
            run = self._start(name, query)
            if name == "wait":
                try:
                    await asyncio.sleep(LONGEST_WAIT)
                except asyncio.CancelledError:
                    self._cut(run)
                    raise
            return self._finish(run)

        _name(tool, name)
        return tool

    def _function(self, name: str) -> Callable[..., str]:
        def tool(query: str) -> str:
            run = self._start(name, query)
            if name == "wait":
                ticket = current_ticket()
                if ticket is None:
                    time.sleep(LONGEST_WAIT)
                elif ticket.cancelled.wait(LONGEST_WAIT):
                    self._cut(run)
            return self._finish(run)

        _name(tool, name)
        return tool

    def _start(self, name: str, query: str) -> Run:
        run = Run(name, {"query": query})
        self.started.append(run)
        if name == "wait":
            self.waiting.set()
        if name == "explode":
            raise Exploded("the tool broke")
        return run

    def _cut(self, run: Run) -> None:
        self.stopped_at = time.monotonic()
        self.cancelled.append(run)

    def _finish(self, run: Run) -> str:
        self.finished.append(run)
        return f"result of {run.tool}: {run.arguments['query']}"


def _name(tool: Callable[..., object], name: str) -> None:
    tool.__name__ = tool.__qualname__ = name
    tool.__doc__ = f"Run the tool {name} on a query."
