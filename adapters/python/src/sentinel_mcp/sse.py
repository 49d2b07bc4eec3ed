"""Server-sent events, as a stream of bytes carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST: Final = 16 * 1024 * 1024


class Block(NamedTuple):
    """One event."""

    id: str | None
    event: str
    data: str


class Parser:
    """Cuts bytes into events; raises `ValueError` when one is too large or is not UTF-8."""

    def __init__(self) -> None:
        self._rest = b""
        self._size = 0
        self._id: str | None = None
        self._event = "message"
        self._data: list[str] = []

    def feed(self, part: bytes) -> Iterator[Block]:
        """Yield the events that `part` completes."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        if self._size + len(self._rest) > LARGEST:
            raise ValueError("an event is too large")
        for line in lines:
            self._size += len(line)
            if self._size > LARGEST:
                raise ValueError("an event is too large")
            block = self._line(line.removesuffix(b"\r").decode())
            if block is not None:
                yield block

    def _line(self, line: str) -> Block | None:
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _end(self) -> Block | None:
        block = Block(self._id, self._event, "\n".join(self._data)) if self._data else None
        self._clear()
        return block

    def _clear(self) -> None:
        self._size = 0
        self._id = None
        self._event = "message"
        self._data = []
