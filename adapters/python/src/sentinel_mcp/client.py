"""The clients: asynchronous and blocking."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sentinel_mcp.core import Core, core_of
from sentinel_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sentinel_mcp.call import Call
    from sentinel_mcp.spool import SpoolStats
    from sentinel_mcp.ticket import Ticket

T = TypeVar("T")


class _Client:
    """Finds what the process shares; holds nothing that could not be copied or pickled."""

    __slots__ = ("_core", "_overrides", "_settings")

    def __init__(self, settings: Settings | None = None, **overrides: object) -> None:
        if settings is not None and overrides:
            settings, overrides = settings.replace(**overrides), {}
        self._settings = settings
        self._overrides = overrides
        self._core: Core | None = None

    @property
    def settings(self) -> Settings:
        """The settings; read from the environment at the first use when none were given."""
        if self._settings is None:
            self._settings = Settings.from_env(**self._overrides)
        return self._settings

    def spool_stats(self) -> SpoolStats:
        """Return what waits on disk to be signed, how old it is, and what was lost: a metric."""
        return self._shared().signer.stats()

    def _shared(self) -> Core:
        core = self._core
        if core is None or core.stale:
            core = self._core = core_of(self.settings)
        return core

    def __deepcopy__(self, _memo: object) -> Self:
        """Return the same client: it has no state of its own."""
        return self

    def __reduce__(self) -> tuple[object, tuple[type, dict[str, object]]]:
        """Pickle without the key: the process that loads it has `SENTINEL_API_KEY`."""
        overrides = self._overrides
        if self._settings is not None:
            settings = self._settings
            overrides = {each.name: getattr(settings, each.name) for each in fields(settings)}
        overrides = {name: value for name, value in overrides.items() if name != "api_key"}
        return _unpickled, (type(self), overrides)


class AsyncSentinel(_Client):
    """Decides calls from coroutines. One object serves any number of event loops."""

    __slots__ = ()

    async def decide(self, call: Call) -> Ticket:
        """Return the ticket of an allowed call.

        Raises `PolicyDenied` when it is denied, and `ControlPlaneUnavailable` when there is no
        decision. Nothing else allows a call.
        """
        return await self._shared().decide(call)

    async def run(self, call: Call, function: Callable[[], Awaitable[T]]) -> T:
        """Decide a call, run `function` and sign its outcome."""
        ticket = await self.decide(call)
        return await ticket.run(call.tool, call.arguments, function)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        if self._core is not None:
            await self._core.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Sentinel(_Client):
    """Decides calls from threads. One object serves any number of them."""

    __slots__ = ()

    def decide(self, call: Call) -> Ticket:
        """As `AsyncSentinel.decide`."""
        return self._shared().decide_blocking(call)

    def run(self, call: Call, function: Callable[[], T]) -> T:
        """As `AsyncSentinel.run`."""
        return self.decide(call).run_blocking(call.tool, call.arguments, function)


def _unpickled(kind: type[Any], overrides: dict[str, object]) -> object:
    return kind(**overrides)
