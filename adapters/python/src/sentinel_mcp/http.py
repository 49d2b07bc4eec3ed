"""Requests to the control plane: one total deadline, bounded answers, no redirects.

httpcore2 is the engine of httpx2. It knows neither redirects nor environment proxies, so neither
can lead a decision elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import httpcore2

from sentinel_mcp.answers import Answer
from sentinel_mcp.errors import ControlPlaneUnavailable

if TYPE_CHECKING:
    import ssl

    from sentinel_mcp.settings import Settings

LARGEST_ANSWER: Final = 1024 * 1024
_CONNECTIONS: Final = 256
_IDLE: Final = 64
# The control plane closes connections after 60 idle seconds.
_KEPT_IDLE: Final = 30.0
_CONNECT_ERRORS: Final = (httpcore2.ConnectError, httpcore2.ConnectTimeout)
_Headers = list[tuple[bytes, bytes]]


class Http:
    """Connections of one process to one control plane.

    An asynchronous connection belongs to the event loop that opened it, so there is a pool for each
    loop. Nothing of it survives a fork: the sockets would be shared with the parent.
    """

    def __init__(self, settings: Settings) -> None:
        self._base = httpcore2.URL(settings.url.rstrip("/"))
        host = self._base.host
        if self._base.port is not None:
            host += b":%d" % self._base.port
        self._headers: _Headers = [
            (b"host", host),
            (b"authorization", b"Bearer " + settings.api_key.encode("ascii")),
            (b"user-agent", b"sentinel-mcp-python"),
            (b"accept", b"application/json"),
            (b"content-type", b"application/json"),
        ]
        self._pools: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, httpcore2.AsyncConnectionPool
        ] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def url(self, path: str) -> httpcore2.URL:
        """Return the address of a path at the control plane."""
        target = self._base.target.rstrip(b"/") + path.encode("ascii")
        base = self._base
        return httpcore2.URL(scheme=base.scheme, host=base.host, port=base.port, target=target)

    def headers(self, *more: tuple[bytes, bytes]) -> _Headers:
        """Return the headers of a request."""
        return [*self._headers, *more]

    @cached_property
    def pool(self) -> httpcore2.ConnectionPool:
        """The connections of threads."""
        return httpcore2.ConnectionPool(
            ssl_context=self._tls,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_IDLE,
            keepalive_expiry=_KEPT_IDLE,
        )

    def stream_pool(self) -> httpcore2.ConnectionPool:
        """Return the connection of one stream, of its own: it is busy for long."""
        return httpcore2.ConnectionPool(ssl_context=self._tls, max_connections=1)

    async def post(self, path: str, body: bytes, within: float) -> Answer:
        """Send a request from a coroutine; raises `ControlPlaneUnavailable`."""
        try:
            async with asyncio.timeout(within):
                return await self._post(path, body, within)
        except TimeoutError:
            raise _timed_out(within) from None
        except Exception as error:
            raise _unreachable(error) from error

    def post_blocking(self, path: str, body: bytes, within: float) -> Answer:
        """Send a request from a thread; raises `ControlPlaneUnavailable`."""
        deadline = time.monotonic() + within
        try:
            return self._post_blocking(path, body, deadline)
        except httpcore2.TimeoutException:
            raise _timed_out(within) from None
        except Exception as error:
            raise _unreachable(error) from error

    async def _post(self, path: str, body: bytes, within: float) -> Answer:
        pool = self._async_pool()
        request = self._request(path, body, within)
        try:
            response = await pool.handle_async_request(request)
        except _CONNECT_ERRORS:
            response = await pool.handle_async_request(request)
        stream: Any = response.stream
        try:
            parts = _Parts(response)
            async for part in stream:
                parts.add(part)
            return parts.answer()
        finally:
            await stream.aclose()

    def _post_blocking(self, path: str, body: bytes, deadline: float) -> Answer:
        try:
            response = self.pool.handle_request(self._request(path, body, _left(deadline)))
        except _CONNECT_ERRORS:
            response = self.pool.handle_request(self._request(path, body, _left(deadline)))
        stream: Any = response.stream
        try:
            parts = _Parts(response)
            for part in stream:
                _left(deadline)
                parts.add(part)
            return parts.answer()
        finally:
            stream.close()

    def _request(self, path: str, body: bytes, timeout: float) -> httpcore2.Request:
        times = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        headers = self.headers((b"content-length", b"%d" % len(body)))
        return httpcore2.Request(
            "POST", self.url(path), headers=headers, content=body, extensions={"timeout": times}
        )

    def _async_pool(self) -> httpcore2.AsyncConnectionPool:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            with self._lock:
                pool = self._pools[loop] = httpcore2.AsyncConnectionPool(
                    ssl_context=self._tls,
                    max_connections=_CONNECTIONS,
                    max_keepalive_connections=_IDLE,
                    keepalive_expiry=_KEPT_IDLE,
                )
        return pool

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.aclose()

    @cached_property
    def _tls(self) -> ssl.SSLContext | None:
        return httpcore2.default_ssl_context() if self._base.scheme == b"https" else None


class _Parts:
    """An answer while it comes in."""

    def __init__(self, response: httpcore2.Response) -> None:
        self._status = response.status
        self._media_type = ""
        self._parts: list[bytes] = []
        self._size = 0
        for name, value in response.headers:
            lower = name.lower()
            if lower == b"content-type":
                self._media_type = value.decode("latin-1")
            elif lower == b"content-encoding" and value.strip().lower() != b"identity":
                raise ControlPlaneUnavailable("its answer is encoded", "malformed_answer")

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LARGEST_ANSWER:
            raise ControlPlaneUnavailable("its answer is too large", "answer_too_large")
        self._parts.append(part)

    def answer(self) -> Answer:
        return Answer(self._status, self._media_type, b"".join(self._parts))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout
    return left


def _timed_out(timeout: float) -> ControlPlaneUnavailable:
    return ControlPlaneUnavailable(f"it did not answer within {timeout:g} seconds", "timeout")


def _unreachable(error: Exception) -> ControlPlaneUnavailable:
    if isinstance(error, ControlPlaneUnavailable):
        return error
    if isinstance(error, httpcore2.ProtocolError):
        return ControlPlaneUnavailable("its answer is not complete HTTP", "malformed_answer")
    return ControlPlaneUnavailable("it cannot be reached", "unreachable")
