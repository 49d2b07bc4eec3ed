"""HTTP/1.1 without input and output: one request, one answer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import h11

from sentinel_mcp.answers import Answer
from sentinel_mcp.errors import ControlPlaneUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_ANSWER: Final = 1024 * 1024
_LARGEST_HEAD: Final = 64 * 1024
Headers = tuple[tuple[bytes, bytes], ...]


@lru_cache(maxsize=256)
def _request(method: str, target: bytes, headers: Headers) -> h11.Request:
    """Return the head of a request. To check its headers is a fifth of what a request costs."""
    return h11.Request(method=method, target=target, headers=list(headers))


class Exchange:
    """What a connection knows of HTTP. It neither follows redirects nor decompresses."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self.status = 0
        self.media_type = ""
        self.is_complete = False
        self._parts: list[bytes] = []
        self._size = 0
        self._fed = 0

    def request(self, method: str, target: bytes, headers: Headers, body: bytes) -> bytes:
        """Return the bytes of a request."""
        self._begin()
        send = self._http.send
        data = send(_request(method, target, headers)) or b""
        if body:
            data += send(h11.Data(data=body)) or b""
        return data + (send(h11.EndOfMessage()) or b"")

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes of the answer, or its end (no bytes); returns it once it is complete.

        Raises `ControlPlaneUnavailable` when it is no answer, or too large.
        """
        for part in self.parts(data):
            self._parts.append(part)
            self._size += len(part)
            if self._size > LARGEST_ANSWER:
                raise ControlPlaneUnavailable("its answer is too large", "answer_too_large")
        if not self.is_complete:
            return None
        return Answer(self.status, self.media_type, b"".join(self._parts))

    def parts(self, data: bytes) -> Iterator[bytes]:
        """Take bytes of the answer, and yield those of its body."""
        self._fed += len(data)
        if not data and not self.status:
            raise ControlPlaneUnavailable("it closed the connection", "unreachable")
        if not self.status and self._fed > _LARGEST_HEAD:
            raise ControlPlaneUnavailable("its answer is too large", "answer_too_large")
        try:
            self._http.receive_data(data)
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                if isinstance(event, h11.Response):
                    self._head(event)
                elif isinstance(event, h11.Data):
                    yield bytes(event.data)
                elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                    self.is_complete = self.is_complete or isinstance(event, h11.EndOfMessage)
                    return
        except h11.ProtocolError:
            raise ControlPlaneUnavailable(
                "its answer is not complete HTTP", "malformed_answer"
            ) from None

    def reuse(self) -> bool:
        """Get ready for the next request; false when the connection is at its end.

        A connection that has brought more than the answer is out of step: what follows could be
        taken for the answer to another call.
        """
        http = self._http
        if http.trailing_data != (b"", False):
            return False
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            return False
        http.start_next_cycle()
        return True

    def _begin(self) -> None:
        self.status = 0
        self.media_type = ""
        self.is_complete = False
        self._parts = []
        self._size = 0
        self._fed = 0

    def _head(self, response: h11.Response) -> None:
        self.status = response.status_code
        for name, value in response.headers:
            if name == b"content-type":
                self.media_type = value.decode("latin-1")
            elif name == b"content-encoding" and value.strip().lower() != b"identity":
                raise ControlPlaneUnavailable("its answer is encoded", "malformed_answer")
