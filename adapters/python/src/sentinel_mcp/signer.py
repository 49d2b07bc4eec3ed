"""Has outcomes signed, in one thread of the process.

Outcomes are sent in bursts, and the thread rests after each: most calls then meet no signing at
all, and half of the time of the calls' own requests is never taken. What could not be sent goes to
the spool.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import json
import logging
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sentinel_mcp import answers
from sentinel_mcp.errors import ControlPlaneUnavailable, PolicyDenied, SentinelError
from sentinel_mcp.spool import Spool, SpoolStats

if TYPE_CHECKING:
    from sentinel_mcp.http import Http
    from sentinel_mcp.settings import Settings
    from sentinel_mcp.signing import Signature
    from sentinel_mcp.wire import SignRequest

_LOG: Final = logging.getLogger("sentinel_mcp")
_SIGN: Final = "/provenance/sign"
# Seconds for which outcomes gather before they are sent, unless someone waits for one.
_GATHER: Final = 0.1
# Requests of a burst that are under way at the same time.
_AT_ONCE: Final = 16
_BURST: Final = 256
# After a burst the thread rests this many times as long as it took.
_REST: Final = 3.0
# Outcomes that wait in memory; from half of it on there is no rest, and more go to the spool.
_MOST: Final = 10_000
# Seconds between two attempts to empty the spool, and after a failure.
_FLUSH_EVERY: Final = 5.0
# Seconds that the end of the process waits for outcomes to be signed; the rest is spooled.
_AT_EXIT: Final = 2.0
# Statuses that may pass: they refuse the key, the patience or the number of requests.
_MAY_PASS: Final = frozenset({401, 403, 407, 408, 421, 425, 429})
_Fate = Literal["signed", "refused", "later"]


@dataclass(slots=True)
class Entry:
    """An outcome that is to be signed."""

    key: str
    request: SignRequest
    signature: Signature | None = None

    def body(self) -> bytes:
        """Return the request as it is sent."""
        request: SignRequest = {**self.request, "idempotency_key": self.key}
        return json.dumps(request, separators=(",", ":")).encode()

    def resolve(self, state: Literal["signed", "spooled", "dropped"], manifest: str | None) -> None:
        """Tell the waiting callers."""
        if self.signature is not None:
            self.signature.resolve(state, manifest)


class Signer:
    """Takes outcomes, and has them signed."""

    def __init__(self, settings: Settings, http: Http) -> None:
        self._settings = settings
        self._http = http
        self._spool = Spool(settings)
        self._queue: collections.deque[Entry] = collections.deque()
        self._has_begun = threading.Event()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurried = False
        self._closing = False
        self._dropped = 0
        self._sending: dict[str, Entry] = {}
        self._ending = threading.Lock()
        self._later = 0.0
        """Until then the control plane is not tried: it has just failed."""
        self._flush_at = 0.0

    def admit(self) -> None:
        """Raise `PolicyDenied` when no further outcome can be kept."""
        settings = self._settings
        if settings.sign == "off" or settings.on_spool_full == "drop":
            return
        # While signing works, what waits in memory need not fit.
        waiting = len(self._queue) if time.monotonic() < self._later else 0
        if not self._spool.has_room(waiting):
            self._start()
            reason = "the spool of outcomes that are to be signed is full, or cannot be written"
            raise PolicyDenied(reason, "spool_full")

    def put(self, entry: Entry) -> None:
        """Take an outcome. Never blocks for the network."""
        signature = entry.signature
        if signature is not None:
            signature.on_wait(self.hurry)
        with self._changed:
            takes = not self._closing and len(self._queue) < _MOST
            if takes:
                self._queue.append(entry)
                if len(self._queue) == 1:
                    self._changed.notify()
        if takes:
            self._start()
        else:
            self._keep(entry)

    def hurry(self) -> None:
        """Send what waits now: someone waits for it."""
        with self._changed:
            self._hurried = True
            self._changed.notify()

    def waiting(self) -> int:
        """Return how many outcomes wait in memory, or are being sent."""
        return len(self._queue) + len(self._sending)

    def stats(self) -> SpoolStats:
        """Return what waits in the spool, and what was lost."""
        return self._spool.stats(self._dropped)

    def close(self, within: float = _AT_EXIT) -> None:
        """Sign what waits, for a while; the rest is spooled."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(within)
        with self._changed:
            rest = list(self._queue)
            self._queue.clear()
        self._keep_rest()
        for entry in rest:
            self._keep(entry)

    def abandon(self) -> None:
        """Forget everything: this is the child of a fork, and the parent has it all, too."""
        _open.discard(self)
        self._closing = True
        for entry in [*self._sending.values(), *self._queue]:
            if entry.signature is not None:
                entry.signature.state = "dropped"
        self._sending.clear()
        self._queue.clear()

    def start(self) -> None:
        """Send what earlier processes left, too."""
        if self._settings.sign != "off":
            self._start()

    def _start(self) -> None:
        if self._has_begun.is_set():
            return
        with self._changed:
            if not self._has_begun.is_set() and not self._closing:
                self._has_begun.set()
                name = "sentinel-mcp signer"
                self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._thread.start()
                _at_exit(self)

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            while burst := self._gather():
                started = time.monotonic()
                try:
                    if burst is not True:
                        runner.run(self._sign(burst))
                    elif not self._closing:
                        runner.run(self._flush())
                except Exception:  # noqa: BLE001 - the thread lives as long as the process
                    _LOG.exception("signing failed")
                    self._keep_rest()
                self._rest(time.monotonic() - started)
            runner.run(self._http.aclose())

    def _keep_rest(self) -> None:
        """Spool what is being sent. It may be signed, too: its key makes that the same manifest."""
        with self._ending:
            while self._sending:
                _, entry = self._sending.popitem()
                self._keep(entry)

    def _end(self, key: str, *, keep: bool) -> None:
        """Be done with an outcome that was being sent, unless someone else is.

        The lock is held until it is written: the end of the process waits for that.
        """
        with self._ending:
            entry = self._sending.pop(key, None)
            if entry is not None and keep:
                self._keep(entry)

    def _gather(self) -> list[Entry] | Literal[True] | None:
        """Return outcomes to be sent, true to flush the spool, or `None` at the end."""
        with self._changed:
            while True:
                until_flush = self._flush_at - time.monotonic()
                if until_flush <= 0 and not self._closing:
                    self._flush_at = time.monotonic() + _FLUSH_EVERY
                    return True
                if self._queue:
                    break
                if self._closing:
                    return None
                self._changed.wait(until_flush)
            if not self._hurried and not self._closing:
                self._changed.wait(_GATHER)
            self._hurried = False
            count = min(len(self._queue), _BURST)
            burst = [self._queue.popleft() for _ in range(count)]
            self._sending = {entry.key: entry for entry in burst}
            return burst

    def _rest(self, seconds: float) -> None:
        with self._changed:
            if not (self._hurried or self._closing or len(self._queue) > _MOST // 2):
                self._changed.wait(min(seconds * _REST, 1.0))

    async def _sign(self, burst: list[Entry]) -> None:
        waiting = iter(burst)

        async def lane() -> None:
            for entry in waiting:
                later = time.monotonic() < self._later or await self._send(entry) == "later"
                self._end(entry.key, keep=later)

        await asyncio.gather(*(lane() for _ in range(min(_AT_ONCE, len(burst)))))

    async def _send(self, entry: Entry) -> _Fate:
        try:
            within = (
                min(_AT_EXIT, self._settings.timeout) if self._closing else self._settings.timeout
            )
            answer = await self._http.post(_SIGN, entry.body(), within)
            if answer.status in _MAY_PASS:
                return "later"
            manifest = answers.manifest_id(answer)
        except PolicyDenied as refused:
            self._drop(entry, refused)
            return "refused"
        except ControlPlaneUnavailable:
            self._later = time.monotonic() + _FLUSH_EVERY
            return "later"
        self._later = 0.0
        entry.resolve("signed", manifest)
        return "signed"

    def _keep(self, entry: Entry) -> None:
        if self._spool.add(entry.key, entry.request):
            entry.resolve("spooled", None)
        else:
            reason = "the spool is full, or cannot be written"
            self._drop(entry, PolicyDenied(reason, "spool_full"))

    def _drop(self, entry: Entry, why: SentinelError) -> None:
        self._dropped += 1
        decision = entry.request.get("decision_id")
        _LOG.error("an outcome is not signed: %s (decision %s)", why.code, decision)
        entry.resolve("dropped", None)

    async def _flush(self) -> None:
        """Send what is in the spool, unless another process does."""
        waiting = self._spool.waiting()
        if not waiting or time.monotonic() < self._later:
            return
        with self._spool.flushing() as ours:
            if not ours:
                return
            entries = iter(waiting[:_BURST])
            self._later = 0.0

            async def lane() -> None:
                for path in entries:
                    if self._later or self._closing:
                        return
                    await self._send_spooled(path)

            await asyncio.gather(*(lane() for _ in range(min(_AT_ONCE, len(waiting)))))
        if len(waiting) > _BURST and not self._later:
            self._flush_at = 0.0  # After what has gathered meanwhile.

    async def _send_spooled(self, path: Any) -> None:  # noqa: ANN401
        claimed = self._spool.claim(path)
        if claimed is None:
            return
        self._spool.refresh()
        read = self._spool.read(claimed)
        if read is None:
            self._dropped += 1
            _LOG.error("an entry of the spool cannot be read: %s", path.name)
        elif await self._send(Entry(*read)) == "later":
            self._spool.release(claimed)
        else:
            self._spool.remove(claimed)


_open: weakref.WeakSet[Signer] = weakref.WeakSet()


def _at_exit(signer: Signer) -> None:
    """Have a signer closed at the end of the process, which `multiprocessing` ends its own way."""
    if not _open:
        atexit.register(_close_all)
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, _close_all, exitpriority=0)
    _open.add(signer)


def _close_all() -> None:
    deadline = time.monotonic() + _AT_EXIT
    for signer in list(_open):
        signer.close(max(0.0, deadline - time.monotonic()))
