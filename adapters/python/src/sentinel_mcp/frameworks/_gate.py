"""What the adapters share: from a framework's call to a ticket, and from the ticket to a result."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sentinel_mcp.call import Call
from sentinel_mcp.canonical import NotJson, digest
from sentinel_mcp.client import AsyncSentinel, Sentinel
from sentinel_mcp.errors import ControlPlaneUnavailable, PolicyDenied, SentinelError

if TYPE_CHECKING:
    from sentinel_mcp.settings import Settings
    from sentinel_mcp.signing import Signature
    from sentinel_mcp.ticket import Ticket

T = TypeVar("T")
log = logging.getLogger("sentinel_mcp")

Names = Mapping[str, str] | Callable[[str], str] | None
Purpose = str | Mapping[str, str] | None
Judge = Callable[[Any], tuple[bool, object]]
"""From a result to whether the tool succeeded, and what of the result is signed."""
Passing = tuple[type[BaseException], ...]

_REMEMBERED: Final = 4096
# A permit lives for a minute, so a call that waits for a person needs a decision of its own.
_MOST_ATTEMPTS: Final = 8


class UngovernedToolError(Exception):
    """Something would run a tool without a decision. Raised in the program, not for the model."""


class Recent(Generic[T]):
    """The latest entries by key, for a bounded time."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._entries: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def __setitem__(self, key: str, value: T) -> None:
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def get(self, key: str) -> T | None:
        """Return the entry, if it is still here."""
        with self._lock:
            return self._entries.get(key)

    def pop(self, key: str) -> T | None:
        """Return the entry and forget it."""
        with self._lock:
            return self._entries.pop(key, None)


@dataclass
class Pending:
    """A ticket on its way from where a call is decided to where it runs."""

    call_id: str
    ticket: Ticket | None
    tool: str = ""

    def take(self) -> Ticket | None:
        """Return the ticket, once."""
        ticket, self.ticket = self.ticket, None
        return ticket


class Gate:
    """Decides the calls of one agent and runs what was allowed.

    `names` maps the framework's names of tools to registered ones, `purpose` is one for all tools
    or one for each registered name.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        names: Names = None,
        purpose: Purpose = None,
        action: str = "call",
        agent: str | None = None,
    ) -> None:
        self._blocking = Sentinel(settings)
        self._awaiting = AsyncSentinel(settings)
        self._options = (settings, names, purpose, action, agent)
        self._names = names
        self._purpose = purpose
        self._action = action
        self._agent = agent
        self._signatures: Recent[Signature] = Recent()
        self._attempts: Recent[int] = Recent()

    def signature(self, call_id: str) -> Signature | None:
        """Return the handle to the manifest of a recent call, by the framework's call id."""
        return self._signatures.get(call_id)

    def registered(self, tool: str) -> str:
        """Return the name under which a tool is registered."""
        if self._names is None:
            return tool
        if callable(self._names):
            return self._names(tool)
        return self._names.get(tool, tool)

    def call(self, tool: str, arguments: Mapping[str, Any], call_id: str | None) -> Call:
        """Return what is to be decided."""
        name = self.registered(tool)
        purpose = self._purpose
        if purpose is not None and not isinstance(purpose, str):
            purpose = purpose.get(name)
        return Call(
            tool=name,
            action=self._action,
            arguments=arguments,
            purpose=purpose,
            agent=self._agent,
            call_id=call_id,
        )

    async def decide(
        self, tool: str, arguments: Mapping[str, Any], *, session: str | None = None, key: str = ""
    ) -> Ticket:
        """Have a call decided; raises `SentinelError` and nothing else.

        With a session that survives a re-run of the call, the re-run gets the same decision.
        `key` is the framework's identifier of the call.
        """
        with _nothing_else():
            for call_id in self._call_ids(session, key, tool, arguments):
                try:
                    return await self._awaiting.decide(self.call(tool, arguments, call_id))
                except PolicyDenied as denied:
                    if not _spent(denied, session):
                        raise
            raise PolicyDenied("this call was made too often", "call_id_spent")

    def decide_blocking(
        self, tool: str, arguments: Mapping[str, Any], *, session: str | None = None, key: str = ""
    ) -> Ticket:
        """As `decide`, for threads."""
        with _nothing_else():
            for call_id in self._call_ids(session, key, tool, arguments):
                try:
                    return self._blocking.decide(self.call(tool, arguments, call_id))
                except PolicyDenied as denied:
                    if not _spent(denied, session):
                        raise
            raise PolicyDenied("this call was made too often", "call_id_spent")

    async def run(  # noqa: PLR0913 - most are named
        self,
        ticket: Ticket,
        tool: str,
        arguments: Mapping[str, Any],
        function: Callable[[], Awaitable[T]],
        *,
        key: str = "",
        passing: Passing = (),
        judge: Judge | None = None,
    ) -> T:
        """Verify what runs, run it and sign the outcome."""
        one = _Run[T](judge)

        async def judged() -> object:
            one.started = True
            return one.keep(await function())

        with self._noting(ticket, key, passing, one):
            await ticket.run(self.registered(tool), arguments, judged, passing=passing)
        return one.result

    def run_blocking(  # noqa: PLR0913 - most are named
        self,
        ticket: Ticket,
        tool: str,
        arguments: Mapping[str, Any],
        function: Callable[[], T],
        *,
        key: str = "",
        passing: Passing = (),
        judge: Judge | None = None,
    ) -> T:
        """As `run`, for a plain function."""
        one = _Run[T](judge)

        def judged() -> object:
            one.started = True
            return one.keep(function())

        with self._noting(ticket, key, passing, one):
            ticket.run_blocking(self.registered(tool), arguments, judged, passing=passing)
        return one.result

    def __deepcopy__(self, _memo: object) -> Gate:
        """Frameworks copy agents; a gate stays the same one."""
        return self

    def __reduce__(self) -> tuple[object, tuple[Any, ...]]:
        """Pickle the options; the settings leave their key out."""
        return _unpickled, self._options

    @contextmanager
    def _noting(self, ticket: Ticket, key: str, passing: Passing, one: _Run[T]) -> Generator[None]:
        try:
            yield
        except _FailedError:
            pass
        except BaseException as error:
            if one.started and not isinstance(error, passing):
                self._note(ticket, key)
            raise
        self._note(ticket, key)

    def _note(self, ticket: Ticket, key: str) -> None:
        # It is finished, so this only returns the handle.
        self._signatures[key] = ticket.finish("succeeded")
        name, _, attempt = (ticket.call.call_id or "").rpartition(":")
        if name:
            self._attempts[name] = int(attempt) + 1

    def _call_ids(
        self, session: str | None, key: str, tool: str, arguments: Mapping[str, Any]
    ) -> Iterator[str]:
        if session is None:
            yield f"{secrets.token_hex(16)}:1"
            return
        # The arguments belong to it: models of some providers number their calls from one.
        name = _digest({"session": session, "key": key, "tool": tool, "arguments": arguments})
        first = self._attempts.get(name) or 1
        for attempt in range(first, first + _MOST_ATTEMPTS):
            yield f"{name}:{attempt}"


class _FailedError(Exception):
    """The tool reported that it failed, and its result is kept."""


class _Run(Generic[T]):
    """What one run brought."""

    result: T

    def __init__(self, judge: Judge | None) -> None:
        self.started = False
        self._judge = judge

    def keep(self, result: T) -> object:
        self.result = result
        if self._judge is None:
            return result
        succeeded, signed = self._judge(result)
        if not succeeded:
            raise _FailedError
        return signed


def object_of(text: str | None) -> dict[str, Any]:
    """Return the arguments in a JSON text; raises `PolicyDenied` when they are not one object.

    A name that appears twice is refused: which of the two a tool reads is anyone's guess.
    """
    try:
        value = json.loads(text or "{}", object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise PolicyDenied("they are not one JSON object", "invalid_arguments")
    return value


def refused(error: SentinelError) -> dict[str, Any]:
    """Return what a program may want to know of a refusal, for metadata."""
    return {"code": error.code, "reason": error.reason, "decision_id": error.decision_id}


def _distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise ValueError("a name appears twice")
    return value


def _spent(denied: PolicyDenied, session: str | None) -> bool:
    return session is not None and denied.code == "call_id_spent"


def _digest(value: dict[str, object]) -> str:
    try:
        return digest(value)
    except NotJson:
        raise PolicyDenied("they are not JSON", "invalid_arguments") from None


@contextmanager
def _nothing_else() -> Generator[None]:
    """Turn a check that fails for any reason into a refusal, in the words of one."""
    try:
        yield
    except SentinelError:
        raise
    except Exception as error:
        log.exception("a check failed")
        reason = "the check failed"
        raise ControlPlaneUnavailable(reason, "check_failed") from error


def _unpickled(
    settings: Settings | None, names: Names, purpose: Purpose, action: str, agent: str | None
) -> Gate:
    return Gate(settings, names=names, purpose=purpose, action=action, agent=agent)
