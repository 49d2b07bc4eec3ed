"""Outcomes that could not be signed wait on disk, until one process sends them.

The format is that of adapters/conformance/README.md; other clients read and write it, too. What is
there has digests only: no arguments, no results, no keys.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sentinel_mcp.settings import Settings
    from sentinel_mcp.wire import SignRequest

VERSION: Final = 1
LARGEST_ENTRY: Final = 64 * 1024
# More than an entry usually takes: room for one must be there before a call.
USUAL_ENTRY: Final = 4096
_LOCK: Final = "flush.lock"
# Seconds after which a lock or a claim is that of a process that crashed.
_STALE: Final = 60.0
# Seconds after which other processes' entries are counted again.
_COUNTED_FOR: Final = 0.5
_PAUSE: Final = 50.0
# Seconds for which a spool that could not be written counts as full.
_BROKEN_FOR: Final = 5.0
_NAME: Final = 13 + 1 + 32


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """What waits in the spool, and what was lost."""

    entries: int
    bytes: int
    oldest_age: float | None
    """Seconds since the oldest entry was written; `None` when there is none."""
    dropped: int
    """Outcomes that this process has dropped: the spool was full, or the control plane refused
    them for good."""


class Spool:
    """The outcomes of one key at one control plane."""

    def __init__(self, settings: Settings) -> None:
        identity = f"{settings.url.rstrip('/')}\n{settings.tenant}\n{settings.api_key}"
        scope = hashlib.sha256(identity.encode()).hexdigest()[:32]
        self.folder: Path = settings.spool / scope
        self._limit = settings.spool_bytes
        self._lock = threading.Lock()
        self._count_at = 0.0
        self._bytes = 0
        self._failed_until = 0.0

    def add(self, key: str, request: SignRequest) -> bool:
        """Keep an outcome; false when there is no room for it, or it cannot be written."""
        document = {"version": VERSION, "key": key, "request": request}
        content = json.dumps(document, separators=(",", ":")).encode()
        with self._lock:
            if len(content) > LARGEST_ENTRY or self._used() + len(content) > self._limit:
                return False
            try:
                self._write(content)
            except OSError:
                self._failed_until = time.monotonic() + _BROKEN_FOR
                return False
            self._bytes += len(content)
            return True

    def has_room(self, waiting: int = 0) -> bool:
        """Whether outcomes of the usual size would find room: those that wait, and one more.

        False as well for a while after one could not be written.
        """
        with self._lock:
            if time.monotonic() < self._failed_until:
                return False
            return self._used() + USUAL_ENTRY * (waiting + 1) <= self._limit

    def stats(self, dropped: int) -> SpoolStats:
        """Return what waits."""
        entries = list(self._entries())
        oldest = min((int(entry.name[:13]) for entry in entries), default=None)
        age = None if oldest is None else max(0.0, time.time() - oldest / 1000)
        return SpoolStats(len(entries), sum(map(_size, entries)), age, dropped)

    def waiting(self) -> list[Path]:
        """Return the entries that nobody sends, oldest first; clears up what a crash left."""
        self._remove_unfinished()
        found = []
        for entry in sorted(self._entries()):
            if entry.suffix == ".claimed":
                if _age(entry) < _STALE:
                    continue
                with suppress(OSError):
                    entry = entry.rename(entry.with_suffix(""))  # noqa: PLW2901
            found.append(entry)
        return [entry for entry in found if entry.suffix == ".json"]

    def claim(self, entry: Path) -> Path | None:
        """Make an entry this process's own; `None` when another has it."""
        claimed = entry.with_name(f"{entry.name}.claimed")
        try:
            # First the time: between the two, another process must not take it for a stale one.
            os.utime(entry)
            return entry.rename(claimed)
        except OSError:
            return None

    def read(self, claimed: Path) -> tuple[str, SignRequest] | None:
        """Return key and request of a claimed entry; sets one aside that cannot be read."""
        try:
            document = json.loads(claimed.read_bytes())
        except (OSError, ValueError):
            document = None
        match document:
            case {"version": 1, "key": str(key), "request": dict(request)}:
                return key, cast("SignRequest", request)
        with suppress(OSError):
            claimed.rename(claimed.with_suffix(".unreadable"))
        return None

    def remove(self, claimed: Path) -> None:
        """Remove a claimed entry: it was sent."""
        size = _size(claimed)
        with suppress(OSError):
            claimed.unlink()
            with self._lock:
                self._bytes = max(0, self._bytes - size)

    def release(self, claimed: Path) -> None:
        """Give a claimed entry back."""
        with suppress(OSError):
            claimed.rename(claimed.with_suffix(""))

    @contextmanager
    def flushing(self) -> Iterator[bool]:
        """Be the one process that flushes, or get false."""
        lock = self.folder / _LOCK
        if not self._take(lock):
            yield False
            return
        try:
            yield True
        finally:
            with suppress(OSError):
                lock.unlink()

    def refresh(self) -> None:
        """Say that the flush goes on."""
        with suppress(OSError):
            os.utime(self.folder / _LOCK)

    def _remove_unfinished(self) -> None:
        for unfinished in self.folder.glob(".*.tmp"):
            if _age(unfinished) >= _STALE:
                with suppress(OSError):
                    unfinished.unlink()

    def _take(self, lock: Path) -> bool:
        for _ in range(2):
            try:
                descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            except FileExistsError:
                if _age(lock) < _STALE:
                    return False
                # Two processes may both take it over: the claims still keep them apart.
                with suppress(OSError):
                    lock.unlink()
            except OSError:
                return False
            else:
                with os.fdopen(descriptor, "w") as file:
                    file.write(str(os.getpid()))
                return True
        return False

    def _used(self) -> int:
        started = time.monotonic()
        if started >= self._count_at:
            self._bytes = sum(map(_size, self._entries()))
            ended = time.monotonic()
            # A spool of many entries takes long to count, and calls wait for it.
            self._count_at = ended + max(_COUNTED_FOR, _PAUSE * (ended - started))
        return self._bytes

    def _entries(self) -> Iterator[Path]:
        try:
            found = list(self.folder.iterdir())
        except OSError:
            return
        for entry in found:
            name = entry.name
            is_entry = name[_NAME:] in {".json", ".json.claimed"} and name[:13].isdecimal()
            if is_entry:
                yield entry

    def _write(self, content: bytes) -> None:
        self._make_folder()
        name = f"{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(16)}.json"
        temporary = self.folder / f".{name}.tmp"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self.folder / name)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        self._sync_folder()

    def _make_folder(self) -> None:
        for folder in (self.folder.parent, self.folder):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.folder.stat(follow_symlinks=False)
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
            raise PermissionError("the spool is open to others")

    def _sync_folder(self) -> None:
        if os.name != "posix":
            return
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _size(entry: Path) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0


def _age(entry: Path) -> float:
    """Seconds since an entry was touched; until then, when the clock was set back since."""
    try:
        return abs(time.time() - entry.stat().st_mtime)
    except OSError:
        return 0.0
