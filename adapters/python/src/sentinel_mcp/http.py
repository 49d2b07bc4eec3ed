"""Requests to the control plane: one total deadline, one retry of connecting, no redirects.

Proxies of the environment are not used: nothing but the setting `url` says who decides.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sentinel_mcp import net
from sentinel_mcp.errors import ControlPlaneUnavailable
from sentinel_mcp.exchange import Exchange

if TYPE_CHECKING:
    import ssl

    from sentinel_mcp.answers import Answer
    from sentinel_mcp.exchange import Headers
    from sentinel_mcp.settings import Settings

# Connections of one event loop; further requests wait for one, within their deadline.
_CONNECTIONS: Final = 128
# The control plane closes connections after 60 idle seconds.
_KEPT_IDLE: Final = 30.0
# Method, target, headers and body.
_Request = tuple[str, bytes, "Headers", bytes]


class Http:
    """Connections of one process to one control plane.

    Those of coroutines belong to the event loop that opened them. None is used after a fork: the
    sockets are shared with the parent.
    """

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/").encode("ascii")

        self._headers: Headers = (
            (b"host", parts.netloc.encode("ascii")),
            (b"authorization", b"Bearer " + settings.api_key.encode("ascii")),
            (b"user-agent", b"sentinel-mcp-python"),
        )
        self._json: Headers = (
            *self._headers,
            (b"accept", b"application/json"),
            (b"content-type", b"application/json"),
        )
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = (
            weakref.WeakKeyDictionary()
        )
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    async def post(self, path: str, body: bytes, within: float) -> Answer:
        """Send a request from a coroutine; raises `ControlPlaneUnavailable`."""
        return await self._within(self._request("POST", path, body), within)

    async def get(self, path: str, within: float) -> Answer:
        """Ask from a coroutine; raises `ControlPlaneUnavailable`."""
        return await self._within(self._request("GET", path, b""), within)

    async def _within(self, request: _Request, within: float) -> Answer:
        try:
            async with asyncio.timeout(within):
                return await self._send(request)
        except TimeoutError:
            raise _timed_out(within) from None
        except ControlPlaneUnavailable:
            raise
        except Exception as error:
            raise _unreachable() from error

    def post_blocking(self, path: str, body: bytes, within: float) -> Answer:
        """Send a request from a thread; raises `ControlPlaneUnavailable`."""
        try:
            return self._send_blocking(self._request("POST", path, body), time.monotonic() + within)
        except TimeoutError:
            raise _timed_out(within) from None
        except ControlPlaneUnavailable:
            raise
        except Exception as error:
            raise _unreachable() from error

    def get_stream(self, path: str, headers: Headers, deadline: float) -> Connection:
        """Send a request whose answer has no end; the caller reads and closes the connection."""
        connection = Connection(self._connect(deadline))
        target = self._path + path.encode("ascii")
        connection.send(("GET", target, (*self._headers, *headers), b""), deadline)
        return connection

    def close(self) -> None:
        """Close what is idle, of threads and of event loops."""
        with self._lock:
            idle, self._idle = self._idle, []
            loops = list(self._loops.values())
        for connection in idle:
            connection.close()
        for loop in loops:
            loop.close()

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        loop = self._loops.pop(asyncio.get_running_loop(), None)
        if loop is not None:
            loop.close()

    def _request(self, method: str, path: str, body: bytes) -> _Request:
        headers = (*self._json, (b"content-length", b"%d" % len(body)))
        return method, self._path + path.encode("ascii"), headers, body

    async def _send(self, request: _Request) -> Answer:
        loop = self._of_loop()
        async with loop.places:
            connection = loop.idle() or AsyncConnection(await self._aconnect())
            try:
                answer = await connection.ask(request)
            except BaseException:
                connection.close()
                raise
            loop.keep(connection)
            return answer

    def _send_blocking(self, request: _Request, deadline: float) -> Answer:
        connection = self._idle_one() or Connection(self._connect(deadline))
        try:
            answer = connection.ask(request, deadline)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if connection.may_be_kept() and len(self._idle) < _CONNECTIONS:
                self._idle.append(connection)
                return answer
        connection.close()
        return answer

    async def _aconnect(self) -> net.AsyncStream | net.AsyncTlsStream:
        try:
            return await net.AsyncStream.connect(self._host, self._port, self._tls)
        except net.ConnectError:
            return await net.AsyncStream.connect(self._host, self._port, self._tls)

    def _connect(self, deadline: float) -> net.Stream:
        try:
            return net.Stream.connect(self._host, self._port, self._tls, deadline)
        except net.ConnectError:
            net.left(deadline)
            return net.Stream.connect(self._host, self._port, self._tls, deadline)

    def _idle_one(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.is_fresh():
                return connection
            connection.close()

    def _of_loop(self) -> _Loop:
        running = asyncio.get_running_loop()
        loop = self._loops.get(running)
        if loop is None:
            with self._lock:
                closed = [each for other, each in self._loops.items() if other.is_closed()]
                loop = self._loops[running] = _Loop()
            for each in closed:
                each.close()
        return loop

    @cached_property
    def _tls(self) -> ssl.SSLContext | None:
        return net.tls_context() if self._secure else None


class _Kept:
    """What connections of coroutines and of threads have in common."""

    def __init__(self, stream: net.Stream | net.AsyncStream | net.AsyncTlsStream) -> None:
        self._kept = stream
        self.exchange = Exchange()
        self._idle_since = 0.0

    def may_be_kept(self) -> bool:
        """Get ready for the next request; false when the connection is at its end."""
        self._idle_since = time.monotonic()
        return self.exchange.reuse()

    def is_fresh(self) -> bool:
        """Whether an idle connection can be used again."""
        return time.monotonic() - self._idle_since < _KEPT_IDLE and not self._kept.is_stale()

    def close(self) -> None:
        """Close it."""
        self._kept.close()

    def __del__(self) -> None:
        self._kept.close()


class AsyncConnection(_Kept):
    """A connection of a coroutine."""

    def __init__(self, stream: net.AsyncStream | net.AsyncTlsStream) -> None:
        super().__init__(stream)
        self._stream = stream

    async def ask(self, request: _Request) -> Answer:
        """Send a request, and return the answer."""
        await self._stream.write(self.exchange.request(*request))
        while True:
            answer = self.exchange.feed(await self._stream.read())
            if answer is not None:
                return answer


class Connection(_Kept):
    """A connection of a thread."""

    def __init__(self, stream: net.Stream) -> None:
        super().__init__(stream)
        self.stream = stream

    def send(self, request: _Request, deadline: float) -> None:
        """Send a request."""
        self.stream.write(self.exchange.request(*request), deadline)

    def ask(self, request: _Request, deadline: float) -> Answer:
        """Send a request, and return the answer."""
        self.send(request, deadline)
        while True:
            answer = self.exchange.feed(self.stream.read(deadline))
            if answer is not None:
                return answer


class _Loop:
    """The connections of one event loop."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(_CONNECTIONS)
        self._idle: list[AsyncConnection] = []

    def idle(self) -> AsyncConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh():
                return connection
            connection.close()
        return None

    def keep(self, connection: AsyncConnection) -> None:
        if connection.may_be_kept():
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _timed_out(within: float) -> ControlPlaneUnavailable:
    return ControlPlaneUnavailable(f"it did not answer within {within:g} seconds", "timeout")


def _unreachable() -> ControlPlaneUnavailable:
    return ControlPlaneUnavailable("it cannot be reached", "unreachable")
