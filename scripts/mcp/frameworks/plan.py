"""What an agent is asked to do, and the scripted model that does it.

Every program `with_FRAMEWORK.py` runs the unmodified agent loop of a framework over its own MCP
client. Only the model is scripted: it makes the calls of the plan one after the other, each in a
turn of its own, and keeps what it was shown.

Usage of each: with_FRAMEWORK.py PLAN, see `Plan`. Prints `Record` as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FINAL = "all calls were made"
# Frameworks demand a name and a first message; the scripted model does not look at them.
AGENT = "tester"
TASK = "make the calls"


@dataclass(frozen=True)
class Server:
    """An MCP server: one with a URL, or one that the client starts."""

    name: str
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the command; most clients pass only what they are told."""
        return {"PATH": os.environ["PATH"], **self.env}


@dataclass(frozen=True)
class Call:
    """One call, and the identifier that the model gives to it."""

    id: str
    server: str
    name: str
    arguments: dict[str, Any]


@dataclass
class Record:
    """What happened, as the model saw it."""

    tools: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    final: str = ""


class Plan:
    """The servers, and a scripted model that makes the calls."""

    def __init__(self, text: str) -> None:
        """Read the plan from JSON: `servers` and `calls`."""
        plan = json.loads(text)
        self.servers = [Server(**server) for server in plan["servers"]]
        self.calls = [Call(f"call_{i}", **call) for i, call in enumerate(plan["calls"])]
        self.made = 0
        self.record = Record()

    def turn(self, tools: Iterable[str], read: Sequence[str]) -> Call | None:
        """Take one turn: the tools offered, and the results of all calls made so far.

        Returns the next call, or nothing when the model has the last word.
        """
        self.record.tools = sorted(tools)
        self.record.read = list(read)
        if len(read) != self.made:
            self.record.faults.append(f"{len(read)} results after {self.made} calls: {read}")
        if self.made == len(self.calls):
            return None
        self.made += 1
        return self.calls[self.made - 1]

    def report(self, final: object) -> None:
        """Print what happened. `final` is what the framework returns as the agent's answer."""
        self.record.final = str(final)
        if self.made != len(self.calls):
            self.record.faults.append(f"ended after {self.made} of {len(self.calls)} calls")
        if FINAL not in self.record.final:
            self.record.faults.append(f"the answer is {self.record.final!r}")
        print(json.dumps(asdict(self.record)))


def given() -> Plan:
    """Return the plan of the command line."""
    return Plan(sys.argv[1])
