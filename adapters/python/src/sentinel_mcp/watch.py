"""The stream of kills: what is stopped is known here, and running calls are cancelled.

What is known here only ever denies. A call that it does not deny is decided by the control plane;
while the stream is broken, every call is.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from sentinel_mcp import answers
from sentinel_mcp.errors import PolicyDenied
from sentinel_mcp.kills import Kill
from sentinel_mcp.sse import Block, Parser

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentinel_mcp.exchange import Headers
    from sentinel_mcp.http import Connection, Http
    from sentinel_mcp.settings import Settings
    from sentinel_mcp.ticket import Ticket

_LOG: Final = logging.getLogger("sentinel_mcp")
_TYPES: Final = "kill_switch.*"
# The control plane sends something every 15 seconds, if only a heartbeat.
_SILENCE: Final = 40.0
_CONNECT: Final = 10.0
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0
_ASKING: Final = 8
_OK: Final = 200


class Watch:
    """Listens for kills, in one thread of the process."""

    def __init__(self, settings: Settings, http: Http, may_go_on: Callable[[Ticket], bool]) -> None:
        self._settings = settings
        self._http = http
        self._may_go_on = may_go_on
        self._lock = threading.Lock()
        self._has_begun = threading.Event()
        self._stopping = threading.Event()
        self._calls: weakref.WeakSet[Ticket] = weakref.WeakSet()
        self._kills: dict[str, tuple[int, Kill]] = {}
        self._epoch = -1
        self._last_id: str | None = None
        self._asking: ThreadPoolExecutor | None = None
        self._connection: Connection | None = None
        self.heard = 0
        """How many kills have been heard of; a call asks for it before it is decided."""
        self.live = threading.Event()
        """Set while the stream is up and its state is known."""

    def start(self) -> None:
        """Listen from now on, if the settings say so."""
        if self._has_begun.is_set() or not self._settings.kill_stream:
            return
        with self._lock:
            if not self._has_begun.is_set() and not self._stopping.is_set():
                self._has_begun.set()
                name = "sentinel-mcp kill stream"
                threading.Thread(target=self._listen, name=name, daemon=True).start()

    def stop(self) -> None:
        """Listen no longer."""
        self._stopping.set()
        self.live.clear()
        connection = self._connection
        if connection is not None:
            connection.stream.interrupt()

    def denial(self, tool: str, agent: str | None) -> PolicyDenied | None:
        """Return the denial of a call that a kill is known to cover."""
        if not self._kills or not self.live.is_set():
            return None
        for _, kill in list(self._kills.values()):
            if kill.covers(self._settings.tenant, tool, agent):
                return _killed(kill, None)
        return None

    def admit(self, ticket: Ticket, heard: int) -> None:
        """Watch a call that was allowed; `heard` is that of the time before it was decided."""
        with self._lock:
            self._calls.add(ticket)
            if self.heard == heard:
                return
            newer = [kill for number, kill in self._kills.values() if number > heard]
        for kill in newer:
            self._apply(kill, [ticket])

    def forget(self, ticket: Ticket) -> None:
        """Watch a call no longer."""
        with self._lock:
            self._calls.discard(ticket)

    def _listen(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                if self._follow():
                    pause = _FIRST_PAUSE
            except Exception as error:  # noqa: BLE001 - the thread lives as long as the process
                _LOG.debug("the kill stream broke off: %s", type(error).__name__)
            finally:
                was_live = self.live.is_set()
                self.live.clear()
            if was_live:
                pause = _FIRST_PAUSE
                _LOG.info("the kill stream broke off; every call is decided by the control plane")
            self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _follow(self) -> bool:
        """Read one stream to its end; false when the control plane did not give one."""
        headers: Headers = ((b"accept", b"text/event-stream"),)
        if self._last_id is not None:
            headers += ((b"last-event-id", self._last_id.encode()),)
        deadline = time.monotonic() + _CONNECT
        connection = self._http.get_stream(f"/v1/events?types={_TYPES}", headers, deadline)
        try:
            self._connection = connection
            return self._read(connection, deadline)
        finally:
            self._connection = None
            connection.close()

    def _read(self, connection: Connection, deadline: float) -> bool:
        parser, exchange = Parser(), connection.exchange
        while not self._stopping.is_set() and not exchange.is_complete:
            data = connection.stream.read(deadline)
            for part in exchange.parts(data):
                if exchange.status != _OK:
                    break
                for block in parser.feed(part):
                    self._hear(block)
            if exchange.status not in {0, _OK}:
                _LOG.warning("no kill stream: status %d", exchange.status)
                return False
            deadline = time.monotonic() + _SILENCE
        return True

    def _hear(self, block: Block) -> None:
        event = answers.document(block.data.encode())
        if block.event == "sync":
            self._sync(event)
        elif block.event == "closed":
            self._closed(event)
        elif self.live.is_set():
            self._changed(block.event, event)
        if block.id is not None:
            self._last_id = block.id

    def _sync(self, event: dict[str, Any]) -> None:
        epoch, listed = event.get("epoch"), event.get("kills")
        if type(epoch) is not int or type(listed) is not list:
            raise ValueError("`sync` is malformed")
        kills = [Kill.of_listing(kill) for kill in listed if kill.get("in_force") is not False]
        with self._lock:
            number = self.heard + 1
            self._epoch = epoch
            self._kills = {kill.kill_id: (number, kill) for kill in kills}
            self.heard = number
            calls = list(self._calls)
        self.live.set()
        for kill in kills:
            self._apply(kill, calls)

    def _closed(self, event: dict[str, Any]) -> None:
        self.live.clear()
        if event.get("code") == "key_revoked":
            with self._lock:
                calls = list(self._calls)
            for call in calls:
                reason = "the key of this client was revoked"
                call.stop(PolicyDenied(reason, "key_revoked", call.decision_id))

    def _changed(self, name: str, event: dict[str, Any]) -> None:
        if name not in {"kill_switch.disabled", "kill_switch.restored"}:
            return
        kill = Kill.of_event(event)
        epoch = event["metadata"].get("epoch")
        if type(epoch) is int and epoch <= self._epoch:
            return  # It is in the state of `sync` already.
        with self._lock:
            number = self.heard + 1
            kills = dict(self._kills)
            if name == "kill_switch.restored":
                kills.pop(kill.kill_id, None)
            else:
                kills[kill.kill_id] = (number, kill)
            self._kills = kills
            self.heard = number
            calls = list(self._calls)
        if name == "kill_switch.disabled":
            self._apply(kill, calls)

    def _apply(self, kill: Kill, calls: list[Ticket]) -> None:
        """Cancel what a kill covers; ask about what it may cover."""
        unknown: list[Ticket] = []
        for ticket in calls:
            agent = ticket.call.agent or self._settings.agent
            covered = kill.covers(self._settings.tenant, ticket.call.tool, agent)
            if covered:
                ticket.stop(_killed(kill, ticket.decision_id))
            elif covered is None:
                unknown.append(ticket)
        for ticket in unknown:
            self._pool().submit(self._ask, kill, ticket)

    def _ask(self, kill: Kill, ticket: Ticket) -> None:
        if not self._may_go_on(ticket):
            ticket.stop(_killed(kill, ticket.decision_id))

    def _pool(self) -> ThreadPoolExecutor:
        if self._asking is None:
            self._asking = ThreadPoolExecutor(_ASKING, thread_name_prefix="sentinel-mcp kills")
        return self._asking


def _killed(kill: Kill, decision_id: str | None) -> PolicyDenied:
    return PolicyDenied(f"killed ({kill.scope}): {kill.reason}", "killed", decision_id)
