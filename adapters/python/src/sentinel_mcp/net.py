"""Connections, of coroutines and of threads.

Those of coroutines are plain sockets and no transports of an event loop: they can be closed when
their loop is closed already. Those of threads obey one deadline for everything: with a timeout for
each read, an answer that comes a byte at a time would never time out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import platform
import select
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import truststore

if TYPE_CHECKING:
    from collections.abc import Callable

_RECORD: Final = 65536
# How long one of several addresses of a host may take, in seconds.
_ONE_ADDRESS: Final = 1.0
# Where certificates are when OpenSSL was built for another system.
_CERTIFICATES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class ConnectError(OSError):
    """There is no connection."""


def tls_context() -> ssl.SSLContext:
    """Return a context that trusts what the system trusts."""
    if platform.system() in {"Darwin", "Windows"}:
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context()
    if not context.get_ca_certs() and not _has_folder():
        for certificates in filter(Path.is_file, map(Path, _CERTIFICATES)):
            context.load_verify_locations(certificates)
            break
    return context


def _has_folder() -> bool:
    folder: str | None = ssl.get_default_verify_paths().capath
    return any(Path(folder).glob("*.0")) if folder else False


class AsyncStream:
    """A connection of a coroutine. Deadlines are the caller's."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._sock = sock
        self._loop = loop

    @classmethod
    async def connect(
        cls, host: str, port: int, tls: ssl.SSLContext | None
    ) -> AsyncStream | AsyncTlsStream:
        """Connect to the first address of a host that takes it; raises `ConnectError`."""
        loop = asyncio.get_running_loop()
        try:
            addresses = _literal(host, port)
            if addresses is None:
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                addresses = [(each[0], each[4]) for each in found]
            stream = cls(await _first(loop, addresses), loop)
        except OSError as error:
            raise ConnectError(str(error)) from error
        return stream if tls is None else await AsyncTlsStream.over(stream, tls, host)

    async def read(self) -> bytes:
        """Return what came, and nothing at the end."""
        return await self._loop.sock_recv(self._sock, _RECORD)

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        await self._loop.sock_sendall(self._sock, data)

    def close(self) -> None:
        """Close it, whether or not its loop is still there."""
        self._sock.close()

    def is_stale(self) -> bool:
        """Whether an idle connection has something to read: it was closed, or is out of step."""
        return _is_readable(self._sock)


class AsyncTlsStream:
    """TLS over a plain stream."""

    def __init__(self, stream: AsyncStream, context: ssl.SSLContext, host: str) -> None:
        self._stream = stream
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)

    @classmethod
    async def over(cls, stream: AsyncStream, context: ssl.SSLContext, host: str) -> AsyncTlsStream:
        """Shake hands; raises `ConnectError`."""
        try:
            secured = cls(stream, context, host)
            await secured._drive(secured._tls.do_handshake)
        except OSError as error:
            stream.close()
            raise ConnectError(str(error)) from error
        except BaseException:
            stream.close()
            raise
        return secured

    async def read(self) -> bytes:
        """Return what came, and nothing at the end. An end without a goodbye is an error."""
        try:
            return bytes(await self._drive(lambda: self._tls.read(_RECORD)))
        except ssl.SSLZeroReturnError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        view = memoryview(data)
        while view:
            part = view
            view = view[await self._drive(lambda part=part: self._tls.write(part)) :]  # type: ignore[misc]

    def close(self) -> None:
        """Close it, whether or not its loop is still there."""
        self._stream.close()

    def is_stale(self) -> bool:
        """Whether an idle connection was closed, or is out of step.

        Tickets of the session may wait to be read, so it may seem stale and be none: then a new
        connection is made.
        """
        return self._stream.is_stale() or self._in.pending > 0

    async def _drive(self, step: Callable[[], Any]) -> Any:  # noqa: ANN401 - what `step` returns
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._stream.read()
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if self._out.pending:
            await self._stream.write(self._out.read())


class Stream:
    """A connection of a thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def connect(cls, host: str, port: int, tls: ssl.SSLContext | None, deadline: float) -> Stream:
        """Connect to the first address of a host that takes it, by a time of the monotonic clock.

        Raises `ConnectError`, and `TimeoutError` when the deadline has passed.
        """
        addresses = _literal(host, port) or _resolved(host, port, deadline)
        try:
            sock = _first_blocking(addresses, deadline)
        except OSError as error:
            raise ConnectError(str(error)) from error
        if tls is None:
            return cls(sock)
        try:
            sock.settimeout(left(deadline))
            return cls(tls.wrap_socket(sock, server_hostname=host, suppress_ragged_eofs=False))
        except OSError as error:
            sock.close()
            raise ConnectError(str(error)) from error

    def read(self, deadline: float) -> bytes:
        """Return what came, and nothing at the end."""
        self._sock.settimeout(left(deadline))
        return self._sock.recv(_RECORD)

    def write(self, data: bytes, deadline: float) -> None:
        """Send all of `data`."""
        self._sock.settimeout(left(deadline))
        self._sock.sendall(data)

    def close(self) -> None:
        """Close it."""
        self._sock.close()

    def interrupt(self) -> None:
        """Have a read of another thread end."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # It is closed already.

    def is_stale(self) -> bool:
        """Whether an idle connection has something to read: it was closed, or is out of step."""
        return _is_readable(self._sock)


def left(deadline: float) -> float:
    """Return the seconds until a time of the monotonic clock; raises `TimeoutError`."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


async def _first(loop: asyncio.AbstractEventLoop, addresses: list[_Address]) -> socket.socket:
    failed: OSError = OSError("the host has no address")
    for number, (family, address) in enumerate(addresses, 1):
        sock = _socket(family)
        try:
            within = None if number == len(addresses) else _ONE_ADDRESS
            async with asyncio.timeout(within):
                await loop.sock_connect(sock, address)
        except OSError as error:  # `TimeoutError` is one.
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


def _first_blocking(addresses: list[_Address], deadline: float) -> socket.socket:
    failed: OSError = OSError("the host has no address")
    for number, (family, address) in enumerate(addresses, 1):
        within = left(deadline)
        if number < len(addresses):
            within = min(within, _ONE_ADDRESS)
        sock = _socket(family)
        try:
            sock.settimeout(within)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failed = error
        else:
            return sock
    raise failed


def _socket(family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)  # noqa: FBT003 - as `socket` has it
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _literal(host: str, port: int) -> list[_Address] | None:
    """Return the address of a host that is one already."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    if address.version == 4:  # noqa: PLR2004 - of the protocol
        return [(socket.AF_INET, (str(address), port))]
    return [(socket.AF_INET6, (str(address), port, 0, 0))]


def _resolved(host: str, port: int, deadline: float) -> list[_Address]:
    """Return the addresses of a host; no timeout reaches into the resolver, so a thread asks it."""
    found: list[Any] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=ask, name="sentinel-mcp resolver", daemon=True)
    thread.start()
    thread.join(left(deadline))
    if failed:
        raise ConnectError(str(failed[0]))
    left(deadline)
    return [(each[0], each[4]) for each in found]


def _is_readable(sock: socket.socket) -> bool:
    if sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
