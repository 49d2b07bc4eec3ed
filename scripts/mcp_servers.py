"""The servers that the clients of mcp_clients.py call, and what is called on them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from conformance import ROOT, node

if TYPE_CHECKING:
    from pathlib import Path

Json: TypeAlias = dict[str, Any]

MODULES = ROOT / "mcp/node_modules/@modelcontextprotocol"
# What mcp/clients-policies/clients.rego says of a call that it denies by its arguments.
REASON = "arguments must not mention secrets"


@dataclass(frozen=True)
class Call:
    """One call of a tool, and what must come of it."""

    server: str
    tool: str
    arguments: Json
    # A part of the result; nothing when the call is to be denied.
    expected: str | None = None
    # Whether the tool is listed.
    listed: bool = True

    @property
    def registered(self) -> str:
        """The name that registry, policy and records know."""
        return f"{self.server}__{self.tool}"

    @property
    def recorded(self) -> tuple[str, str]:
        """The decision that is recorded of it."""
        return (self.registered, "deny" if self.expected is None else "allow")


@dataclass(frozen=True)
class Server:
    """One server."""

    name: str
    command: list[str]
    allowed: Call
    # The tool is listed, but this call is denied by its arguments.
    denied: Call
    # This tool is not even listed.
    hidden: Call

    def calls(self) -> list[Call]:
        """Return the calls of a program that calls what is not listed, too."""
        return [self.allowed, self.denied, self.hidden, self.allowed]

    def listed_calls(self) -> list[Call]:
        """Return the calls of what is listed."""
        return [self.allowed, self.denied, self.allowed]


def servers(folder: Path) -> list[Server]:
    """Return the servers. `folder` has the files and the repository for those that need some."""
    (folder / "note.txt").write_text("remember the milk")
    subprocess.run(["git", "init", "--quiet", folder], check=True)  # noqa: S603, S607
    place = str(folder)
    repository = {"repo_path": place}
    everything = [node(), str(MODULES / "server-everything/dist/index.js")]
    filesystem = [node(), str(MODULES / "server-filesystem/dist/index.js"), place]
    time = [sys.executable, "-m", "mcp_server_time"]
    git = [sys.executable, "-m", "mcp_server_git", "--repository", place]
    return [
        Server(
            "everything",
            everything,
            Call("everything", "echo", {"message": "hi"}, "Echo: hi"),
            Call("everything", "echo", {"message": "a secret"}),
            Call("everything", "get-sum", {"a": 1, "b": 2}, listed=False),
        ),
        Server(
            "filesystem",
            filesystem,
            # Not `read_text_file`: smolagents demands arguments that are optional there.
            Call("filesystem", "list_directory", {"path": place}, "note.txt"),
            Call("filesystem", "list_directory", {"path": f"{place}/secret"}),
            Call("filesystem", "write_file", {"path": place, "content": ""}, listed=False),
        ),
        Server(
            "time",
            time,
            Call("time", "get_current_time", {"timezone": "UTC"}, "UTC"),
            Call("time", "get_current_time", {"timezone": "secret"}),
            Call("time", "convert_time", {}, listed=False),
        ),
        Server(
            "git",
            git,
            Call("git", "git_status", repository, "No commits"),
            Call("git", "git_show", {**repository, "revision": "secret"}),
            Call("git", "git_commit", {**repository, "message": "new"}, listed=False),
        ),
    ]
