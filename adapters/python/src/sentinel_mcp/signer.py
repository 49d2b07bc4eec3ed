"""Signs outcomes in the background."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sentinel_mcp import answers
from sentinel_mcp.errors import SentinelError

if TYPE_CHECKING:
    from sentinel_mcp.http import Http
    from sentinel_mcp.settings import Settings
    from sentinel_mcp.signing import Signature

_SIGN: Final = "/provenance/sign"
# Whether the control plane knows `idempotency_key`.
SENDS_KEY: Final = False


@dataclass(slots=True)
class Entry:
    """An outcome that is to be signed."""

    key: str
    request: dict[str, Any]
    signature: Signature | None = None


class Signer:
    """Signs outcomes, in one thread of the process."""

    def __init__(self, settings: Settings, http: Http) -> None:
        self._settings = settings
        self._http = http
        self._queue: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def admit(self) -> None:
        """Raise `PolicyDenied` when no further outcome can be kept."""

    def put(self, entry: Entry) -> None:
        """Take an outcome."""
        self._queue.put(entry)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            entry = self._queue.get()
            body = json.dumps(entry.request).encode()
            try:
                answer = self._http.post_blocking(_SIGN, body, self._settings.timeout)
                identifier = answers.manifest_id(answer)
            except SentinelError:
                if entry.signature is not None:
                    entry.signature.resolve("dropped")
                continue
            if entry.signature is not None:
                entry.signature.resolve("signed", identifier)
