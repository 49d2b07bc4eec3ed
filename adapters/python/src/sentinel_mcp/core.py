"""What the clients of one process share, for each set of settings."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
from typing import TYPE_CHECKING, Final

from sentinel_mcp import answers
from sentinel_mcp.canonical import NotJson, canonical, of_object
from sentinel_mcp.errors import ControlPlaneUnavailable, PolicyDenied, SentinelError
from sentinel_mcp.http import Http
from sentinel_mcp.signer import Entry, Signer
from sentinel_mcp.signing import Signature, payload
from sentinel_mcp.ticket import Ticket
from sentinel_mcp.watch import Watch
from sentinel_mcp.wording import plain

if TYPE_CHECKING:
    from sentinel_mcp.answers import Answer
    from sentinel_mcp.call import Call
    from sentinel_mcp.settings import Settings
    from sentinel_mcp.signing import Outcome
    from sentinel_mcp.wire import CheckRequest, ResumeRequest, SignRequest

_LOG: Final = logging.getLogger("sentinel_mcp")
_CHECK: Final = "/policy/check"
_RESUME: Final = "/v1/permits/resume"
# A kill that may cover a running call has the control plane asked; no answer by then ends the call.
_RESUME_WITHIN: Final = 0.5
_LONGEST_NAME: Final = 200


class Core:
    """Connections, kill stream and signer of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.http = Http(settings)
        self.watch = Watch(settings, self.http, self._may_go_on)
        self.signer = Signer(settings, self.http)
        self.stale = False
        """Set in the child of a fork, where threads and connections of the parent are gone."""

    async def decide(self, call: Call) -> Ticket:
        """Return the ticket of a call that is allowed; raises a `SentinelError`."""
        try:
            ticket, body = self._prepare(call)
            heard = self.watch.heard
            answer = await self.http.post(_CHECK, body, self.settings.timeout)
            return self._admit(ticket, answer, heard)
        except Exception as error:
            raise _denial(call, error) from error

    def decide_blocking(self, call: Call) -> Ticket:
        """As `decide`, for threads."""
        try:
            ticket, body = self._prepare(call)
            heard = self.watch.heard
            answer = self.http.post_blocking(_CHECK, body, self.settings.timeout)
            return self._admit(ticket, answer, heard)
        except Exception as error:
            raise _denial(call, error) from error

    def close(self) -> None:
        """End the threads and connections; the clients with these settings get new ones."""
        if _cores.get(self.settings) is self:
            del _cores[self.settings]
        self.stale = True
        self.watch.stop()
        self.signer.close()
        self.http.close()

    def recheck(self, ticket: Ticket) -> None:
        """Raise when a kill is known by now, or the process is another one by now."""
        if self.stale:
            reason = "the decision was made in another process"
            raise PolicyDenied(reason, "ticket_spent", ticket.decision_id)
        call = ticket.call
        denial = self.watch.denial(call.tool, call.agent or self.settings.agent)
        if denial is not None:
            ticket.stop(denial)

    def forget(self, ticket: Ticket) -> None:
        """Watch a call no longer."""
        if not self.stale:
            self.watch.forget(ticket)

    def sign(self, ticket: Ticket, outcome: Outcome, result: object) -> Signature:
        """Have an outcome signed."""
        if self.settings.sign == "off" or ticket.decision is None:
            return Signature(state="off")
        if self.stale:
            return Signature(state="dropped")
        signature = Signature(waits=self.settings.sign == "before_return")
        call = ticket.call
        request: SignRequest = {
            "tenant_slug": self.settings.tenant,
            "tool_name": call.tool,
            "action": call.action,
            "decision_id": ticket.decision.decision_id,
            "payload": payload(outcome, ticket.arguments_sha256, result),
        }
        agent = call.agent or self.settings.agent
        if call.purpose is not None:
            request["purpose"] = call.purpose
        if agent is not None:
            request["agent"] = agent
        key = f"{ticket.decision.decision_id}:{secrets.token_hex(8)}"
        self.signer.put(Entry(key, request, signature))
        return signature

    def _prepare(self, call: Call) -> tuple[Ticket, bytes]:
        self.watch.start()
        self.signer.start()
        self.signer.admit()
        agent = call.agent or self.settings.agent
        denial = self.watch.denial(call.tool, agent)
        if denial is not None:
            raise denial
        try:
            arguments = of_object(call.arguments)
            head: CheckRequest = {
                "tenant_slug": self.settings.tenant,
                "tool_name": call.tool,
                "action": call.action,
            }
            if agent is not None:
                head["agent"] = agent
            if call.purpose is not None:
                head["purpose"] = call.purpose
            if call.call_id is not None:
                head["call_id"] = call.call_id
            # What is hashed here and what is decided there are the same bytes.
            body = canonical(head)[:-1] + b',"arguments":' + arguments
            if call.context is not None:
                body += b',"context":' + of_object(call.context)
            body += b"}"
        except NotJson as error:
            raise PolicyDenied(f"the call is not JSON: {error}", "invalid_arguments") from None
        return Ticket(self, call, hashlib.sha256(arguments).hexdigest()), body

    def _admit(self, ticket: Ticket, answer: Answer, heard: int) -> Ticket:
        ticket.decision = answers.decision(answer)
        self.watch.admit(ticket, heard)
        return ticket

    def _may_go_on(self, ticket: Ticket) -> bool:
        """Ask whether a running call may go on; no answer is a no."""
        call = ticket.call
        try:
            head: ResumeRequest = {
                "decision_id": ticket.decision_id or "",
                "tool_name": call.tool,
                "action": call.action,
                "arguments": dict(call.arguments),
            }
            answer = self.http.post_blocking(_RESUME, canonical(head), _RESUME_WITHIN)
            return answers.confirmed(answer, "resumed") == ticket.decision_id
        except Exception:  # noqa: BLE001 - whatever goes wrong, nobody said that it may
            return False


def _denial(call: Call, error: Exception) -> SentinelError:
    """Return why a call does not run, and log it: never its arguments, the key or an answer."""
    if not isinstance(error, SentinelError):
        _LOG.error("%s: the check failed: %s", _name(call), type(error).__name__)
        return ControlPlaneUnavailable("the check failed", "check_failed")
    level = logging.INFO if isinstance(error, PolicyDenied) else logging.WARNING
    _LOG.log(level, "%s: %s (decision %s)", _name(call), error.code, error.decision_id)
    return error


def _name(call: Call) -> str:
    """Return the name of the tool for a log: a model may have made it up."""
    tool: object = call.tool
    return plain(tool, _LONGEST_NAME) if isinstance(tool, str) else "(no name)"


_cores: dict[Settings, Core] = {}
_lock = threading.Lock()


def core_of(settings: Settings) -> Core:
    """Return what the clients of this process with these settings share."""
    core = _cores.get(settings)
    if core is None:
        with _lock:
            core = _cores.get(settings)
            if core is None:
                core = _cores[settings] = Core(settings)
    return core


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = threading.Lock()
    for core in _cores.values():
        core.stale = True
        core.signer.abandon()
    _cores.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
