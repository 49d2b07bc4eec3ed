"""The right to make one call, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from sentinel_mcp.canonical import NotJson, digest
from sentinel_mcp.errors import PolicyDenied
from sentinel_mcp.signing import Signature

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from sentinel_mcp.call import Call, Decision
    from sentinel_mcp.core import Core
    from sentinel_mcp.signing import Outcome

T = TypeVar("T")
_LOG: Final = logging.getLogger("sentinel_mcp")
_CURRENT: ContextVar[Ticket | None] = ContextVar("sentinel_mcp_ticket", default=None)
_NONE: Final[tuple[type[BaseException], ...]] = ()


def current_ticket() -> Ticket | None:
    """Return the ticket of the call that the running tool was allowed by, if any.

    A tool that is a plain function finds `current_ticket().cancelled` here: an event that a kill
    sets, since no thread can be stopped from outside.
    """
    return _CURRENT.get()


class Ticket:
    """The right to make one call.

    `verify` right before the tool runs, `running` around it, `finish` after it; `run` and
    `run_blocking` do the three.
    """

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "_core",
        "_lock",
        "_signature",
        "_stopped",
        "_used",
        "arguments_sha256",
        "call",
        "cancelled",
        "decision",
    )

    def __init__(self, core: Core | None, call: Call, arguments_sha256: str) -> None:
        self._core = core
        self.call = call
        self.arguments_sha256 = arguments_sha256
        self.decision: Decision | None = None
        self.cancelled = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._stopped: PolicyDenied | None = None
        self._signature: Signature | None = None
        self._used = core is None

    @property
    def decision_id(self) -> str | None:
        """The recorded decision."""
        return self.decision.decision_id if self.decision else None

    @property
    def permit(self) -> str | None:
        """The permit for the server of the tool, sent as the header `Sentinel-Permit`.

        `None` unless the setting `pass_permit` is on: what is here is to be handed on.
        """
        if self._core is None or not self._core.settings.pass_permit or self.decision is None:
            return None
        return self.decision.permit

    def matches(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Whether this is the call that was decided. Uses nothing up."""
        try:
            return tool == self.call.tool and digest(arguments) == self.arguments_sha256
        except NotJson:
            return False

    def verify(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Make sure that what runs now is what was decided, and that no kill covers it by now.

        Call it at the last moment, with what the tool will really get. It succeeds once; a second
        attempt needs a decision of its own. Raises `PolicyDenied`.
        """
        if not self.matches(tool, arguments):
            self.discard()
            reason = "the call is not the one that was decided"
            raise PolicyDenied(reason, "arguments_changed", self.decision_id)
        with self._lock:
            spent, self._used = self._used or self.decision is None, True
        if spent:
            reason = "the decision was used for a call before"
            raise PolicyDenied(reason, "ticket_spent", self.decision_id)
        if self._core is not None:
            self._core.recheck(self)
        self.raise_if_cancelled()

    def running(self) -> Running:
        """Return a context manager for the time in which the tool runs.

        `async with` cancels the task when a kill covers the call; `with` can only set `cancelled`.
        Both raise `PolicyDenied` with the code `killed` at the end then: the result is withheld.
        """
        return Running(self)

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, in another thread, when a kill covers the running call.

        Returns a function that undoes it. When the kill came before, it is called at once.
        """
        with self._lock:
            if self._stopped is None:
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def raise_if_cancelled(self) -> None:
        """Raise `PolicyDenied` when a kill covers the call."""
        stopped = self._stopped
        if stopped is not None:
            self.discard()
            raise PolicyDenied(stopped.reason, stopped.code, stopped.decision_id)

    def finish(self, outcome: Outcome, result: object = None) -> Signature:
        """Have the outcome signed, and return the handle to its manifest.

        Never blocks and never raises. Where the setting `sign` may be `before_return`, follow with
        `await signature.settled()` or `signature.settle()`, which do nothing else.
        """
        with self._lock:
            if self._signature is not None:
                return self._signature
            signature = self._signature = Signature(state="off")
        if self._core is not None:
            self._core.forget(self)
            if self.decision is not None:
                signature = self._signature = self._core.sign(self, outcome, result)
        return signature

    def discard(self) -> None:
        """Give the ticket up: nothing ran, and nothing is signed."""
        with self._lock:
            self._used = True
        if self._core is not None:
            self._core.forget(self)

    async def run(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        function: Callable[[], Awaitable[T]],
        *,
        passing: tuple[type[BaseException], ...] = _NONE,
    ) -> T:
        """Verify, run `function` and sign its outcome.

        Exceptions of the types `passing` are no outcome (an interrupt, for instance): they pass,
        and nothing is signed.
        """
        self.verify(tool, arguments)
        try:
            async with self.running():
                result = await function()
        except BaseException as error:
            await self._failed(error, passing).settled()
            raise
        await self.finish("succeeded", result).settled()
        return result

    def run_blocking(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        function: Callable[[], T],
        *,
        passing: tuple[type[BaseException], ...] = _NONE,
    ) -> T:
        """As `run`, for a plain function."""
        self.verify(tool, arguments)
        try:
            with self.running():
                result = function()
        except BaseException as error:
            self._failed(error, passing).settle()
            raise
        self.finish("succeeded", result).settle()
        return result

    def stop(self, denied: PolicyDenied) -> None:
        """Cancel the call; for the watch, which heard of a kill."""
        with self._lock:
            if self._stopped is not None or self._signature is not None:
                return
            self._stopped = denied
            callbacks, self._callbacks = self._callbacks, []
        self.cancelled.set()
        for callback in callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001 - one must not keep others from hearing of the kill
                _LOG.exception("a callback of a cancelled call failed")

    def __deepcopy__(self, _memo: object) -> Ticket:
        """Return the same ticket: a right to make one call does not become two."""
        return self

    def __reduce__(self) -> tuple[object, tuple[Call, str]]:
        """Pickle as a ticket that is spent: it is good in this process only."""
        return _spent, (self.call, self.arguments_sha256)

    def _failed(self, error: BaseException, passing: tuple[type[BaseException], ...]) -> Signature:
        if passing and isinstance(error, passing):
            self.discard()
            return Signature(state="off")
        cut = self._stopped is not None or isinstance(error, asyncio.CancelledError)
        kind = type(error)
        result = {"error": f"{kind.__module__}.{kind.__qualname__}"}
        return self.finish("cancelled" if cut else "failed", result)

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


class Running:
    """The time in which a tool runs."""

    __slots__ = ("_before", "_cancelling", "_cut", "_task", "_ticket", "_token", "_undo")

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._cut = False
        self._undo: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        self._ticket.raise_if_cancelled()
        self._token = _CURRENT.set(self._ticket)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _CURRENT.reset(self._token)
        self._raise_if_killed(error)

    async def __aenter__(self) -> Self:
        self._ticket.raise_if_cancelled()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a governed call runs in a task")
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        self._token = _CURRENT.set(self._ticket)
        loop = asyncio.get_running_loop()
        self._undo = self._ticket.on_cancel(lambda: _soon(loop, self._cancel))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._undo is not None:
            self._undo()
        self._undo = None
        _CURRENT.reset(self._token)
        if self._cut:
            if self._task.uncancel() > self._cancelling:
                return  # Someone else cancelled the task, too, which goes first.
        elif isinstance(error, asyncio.CancelledError):
            return
        self._raise_if_killed(error)

    def _cancel(self) -> None:
        if self._undo is not None and not self._cut:
            self._cut = True
            self._task.cancel()

    def _raise_if_killed(self, error: BaseException | None) -> None:
        stopped = self._ticket._stopped  # noqa: SLF001 - the two are one
        if stopped is None or isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            return
        raise PolicyDenied(stopped.reason, stopped.code, stopped.decision_id) from error


def _soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # The loop is closed, and with it the call.
        loop.call_soon_threadsafe(callback)


def _spent(call: Call, arguments_sha256: str) -> Ticket:
    return Ticket(None, call, arguments_sha256)
