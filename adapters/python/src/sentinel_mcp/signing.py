"""What is signed of an outcome, and the handle to its manifest."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import threading
from typing import TYPE_CHECKING, Any, Literal

from sentinel_mcp.canonical import NotJson, canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Outcome = Literal["succeeded", "failed", "cancelled"]
State = Literal["pending", "signed", "spooled", "dropped", "off"]


def payload(outcome: Outcome, arguments_sha256: str, result: object) -> dict[str, str]:
    """Return the document that is signed. It has digests only."""
    salt = secrets.token_bytes(32)
    return {
        "outcome": outcome,
        "arguments_sha256": arguments_sha256,
        "result_sha256": hashlib.sha256(salt + _of_result(result)).hexdigest(),
        "salt": salt.hex(),
    }


def _of_result(result: object) -> bytes:
    try:
        return canonical(result)
    except NotJson:
        pass
    try:
        return repr(result).encode("utf-8", "surrogatepass")
    except Exception:  # noqa: BLE001 - a `repr` of anyone may raise anything
        return type(result).__qualname__.encode("utf-8", "surrogatepass")


class Signature:
    """A handle to the manifest of an outcome.

    `await signature` and `signature.wait()` return the identifier of the manifest, or `None` when
    there is none: `state` says why. They never raise because of signing.
    """

    __slots__ = ("_callbacks", "_hurry", "_lock", "_waits", "manifest_id", "state")

    def __init__(self, *, state: State = "pending", waits: bool = False) -> None:
        self.state: State = state
        self.manifest_id: str | None = None
        self._waits = waits
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._hurry: Callable[[], None] | None = None

    def __await__(self) -> Generator[Any, None, str | None]:
        """Wait for the manifest without blocking the event loop."""
        return self._settle().__await__()

    def wait(self, timeout: float | None = None) -> str | None:
        """Wait for the manifest in a thread."""
        done = threading.Event()
        if self._when_done(done.set):
            done.wait(timeout)
        return self.manifest_id

    async def settled(self) -> None:
        """Wait where the setting `sign` is `before_return`; else return at once."""
        if self._waits:
            await self._settle()

    def settle(self) -> None:
        """As `settled`, for threads."""
        if self._waits:
            self.wait()

    def on_wait(self, hurry: Callable[[], None]) -> None:
        """Have `hurry` called when someone waits; for the signer."""
        self._hurry = hurry

    def resolve(self, state: State, manifest_id: str | None = None) -> None:
        """Say what became of it; for the signer."""
        with self._lock:
            self.state, self.manifest_id = state, manifest_id
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def __deepcopy__(self, _memo: object) -> Signature:
        """Return the same handle."""
        return self

    def __reduce__(self) -> tuple[object, tuple[str, str | None]]:
        """Pickle what is known by now."""
        return _unpickled, (self.state, self.manifest_id)

    async def _settle(self) -> str | None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        if self._when_done(lambda: _call_soon(loop, finish)):
            await done
        return self.manifest_id

    def _when_done(self, callback: Callable[[], None]) -> bool:
        """Have `callback` called when it is done; false when it is already."""
        with self._lock:
            if self.state != "pending":
                return False
            self._callbacks.append(callback)
        if self._hurry is not None:
            self._hurry()
        return True


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # The loop is closed, and with it the waiting task.
        loop.call_soon_threadsafe(callback)


def _unpickled(state: State, manifest_id: str | None) -> Signature:
    signature = Signature(state="dropped" if state == "pending" else state)
    signature.manifest_id = manifest_id
    return signature
