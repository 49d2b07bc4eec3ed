#!/usr/bin/env python3
"""Test the MCP gateway with unmodified clients, agents and servers.

Programs: the Inspector's command line and the Python and TypeScript SDKs, each in both eras.
Agents: Claude Code and the loops of frameworks, whose models are scripted (mcp/frameworks/plan.py).
Servers: server-everything, server-filesystem, mcp-server-time and mcp-server-git.

Each client runs twice: over HTTP with all servers behind one endpoint, and over stdio with
`sentinel mcp wrap` in front of each server. Lists are filtered; a call is allowed; the next is
denied, and the model reads why; the session goes on. In the end every call has been decided once,
what was allowed is counted and signed, and the log can be audited.

Usage: mcp_clients.py SENTINEL [--only http|stdio] [--client NAME]

Exit status: 0 when everything was as expected, 1 when not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import ROOT, ready, running
from mcp_records import ControlPlane, audit, check_tenant
from mcp_servers import REASON, Call, Server, servers
from mcp_sessions import AGENTS, PATIENCE, PROGRAMS, Machine, Result, Seen, Target

if TYPE_CHECKING:
    from collections.abc import Callable

# One for each way in: the names of upstreams are unique in a tenant.
TENANTS = {"http": "clients-http", "stdio": "clients-stdio"}


@dataclass(frozen=True)
class Bench:
    """What every session needs."""

    behind: list[Server]
    plane: ControlPlane
    machine: Machine


@dataclass(frozen=True)
class Session:
    """One session of a client with one or more servers."""

    way: str
    client: str
    asked: list[Server]
    targets: list[Target]

    def calls(self) -> list[Call]:
        """Return the calls that the client makes."""
        # Agents and the Inspector call only what is listed.
        if self.client.startswith(("py-", "ts-")):
            return [call for server in self.asked for call in server.calls()]
        return [call for server in self.asked for call in server.listed_calls()]

    def run(self, machine: Machine) -> Seen:
        """Run the client."""
        if self.client in AGENTS:
            return machine.agent(self.client, self.targets, self.calls())
        return machine.program(self.client, self.targets[0], self.calls())

    def wrong(self, bench: Bench) -> list[str]:
        """Run the client and return what is not as expected."""
        calls = self.calls()
        before = len(bench.plane.decisions(TENANTS[self.way]))
        try:
            seen = self.run(bench.machine)
            wrong = seen.faults + self.wrong_lists(seen.tools)
            wrong += wrong_results(calls, seen.results, bench.plane)
        except (RuntimeError, ValueError, KeyError, OSError, subprocess.TimeoutExpired) as error:
            wrong = [repr(error)]
        decisions = bench.plane.decisions(TENANTS[self.way])[before:]
        recorded = [(decision["tool"], decision["decision"]) for decision in decisions]
        if recorded != [call.recorded for call in calls]:
            wrong.append(f"{len(calls)} calls, but these decisions: {recorded}")
        return wrong

    def wrong_lists(self, listed: list[str]) -> list[str]:
        """Return what is wrong with the tools that the client was shown."""
        # Some frameworks offer `get-sum` as `get_sum`.
        tools = {name.replace("-", "_") for name in listed}
        qualified = self.targets[0].qualified
        wrong = []
        for server in self.asked:
            shown, hidden = (
                (call.registered if qualified else call.tool).replace("-", "_")
                for call in (server.allowed, server.hidden)
            )
            if hidden in tools:
                wrong.append(f"{hidden} is listed")
            if shown not in tools:
                wrong.append(f"{shown} is not listed")
        return wrong


def wrong_results(calls: list[Call], results: list[Result], plane: ControlPlane) -> list[str]:
    """Return what is wrong with the results of the calls."""
    wrong = []
    if len(results) != len(calls):
        wrong.append(f"{len(results)} results of {len(calls)} calls")
    for call, result in zip(calls, results, strict=False):
        if call.expected is None:
            wrong += wrong_denial(call, result)
        else:
            wrong += wrong_allow(call, result, plane)
    return wrong


def wrong_allow(call: Call, result: Result, plane: ControlPlane) -> list[str]:
    """Return what is wrong with the result of an allowed call."""
    if result.is_error or (call.expected or "") not in result.text:
        return [f"{call.registered}: allowed, but the result is {result}"]
    # A program sees which manifest it is; a model sees the text only.
    if result.meta is not None:
        manifest = result.meta.get("sentinel/manifest")
        if not isinstance(manifest, str) or not plane.verified(manifest):
            return [f"{call.registered}: no manifest that verifies in {result.meta}"]
    return []


def wrong_denial(call: Call, result: Result) -> list[str]:
    """Return what is wrong with the result of a denied call."""
    words = ["Denied", "do not retry"]
    # Why a tool is hidden is not said.
    if call.listed:
        words.append(REASON)
    wrong = [word for word in words if word not in result.text]
    if wrong or result.is_error is False:
        return [f"{call.registered}: denied, but {wrong} is not in the result {result}"]
    return []


def over_http(bench: Bench, clients: list[str]) -> list[Session]:
    """Return the sessions with all servers behind one endpoint."""
    tenant = TENANTS["http"]
    for server in bench.behind:
        transport = {"stdio": {"command": server.command}}
        upstream = {"tenant_slug": tenant, "name": server.name, "transport": transport}
        bench.plane.request("POST", "/v1/upstreams", upstream)
    headers = {"Authorization": f"Bearer {bench.plane.keys['agent']}"}
    url = f"{bench.plane.url}/mcp/{tenant}"
    target = Target("sentinel", url=url, headers=headers, qualified=True)
    wait_for(bench, target)
    return [Session("http", client, bench.behind, [target]) for client in clients]


def wait_for(bench: Bench, target: Target) -> None:
    """Wait until all servers behind an endpoint run: the gateway lists those that are ready."""
    wanted = {server.allowed.registered for server in bench.behind}
    deadline = time.monotonic() + PATIENCE
    while wanted - set(bench.machine.program("py-legacy", target, []).tools):
        if time.monotonic() > deadline:
            raise RuntimeError("the servers behind the gateway do not start")


def over_stdio(bench: Bench, clients: list[str], binary: str) -> list[Session]:
    """Return the sessions with each server behind a `sentinel mcp wrap` of its own."""
    env = {
        "SENTINEL_URL": bench.plane.url,
        "SENTINEL_API_KEY": bench.plane.keys["agent"],
        "SENTINEL_TENANT": TENANTS["stdio"],
    }
    pairs = []
    for server in bench.behind:
        command = (binary, "mcp", "wrap", "--server", server.name, "--", *server.command)
        pairs.append((server, Target(server.name, command=command, env=env)))
    sessions = []
    for client in clients:
        if client in AGENTS:
            targets = [target for _, target in pairs]
            sessions.append(Session("stdio", client, bench.behind, targets))
        else:
            sessions += [Session("stdio", client, [server], [target]) for server, target in pairs]
    return sessions


def run(bench: Bench, sessions: list[Session]) -> list[bool]:
    """Run sessions one after the other, so that it is known which decision is whose."""
    passed = []
    for session in sessions:
        began = time.monotonic()
        wrong = session.wrong(bench)
        label = f"mcp-clients: {session.way}: {session.client}"
        for line in wrong:
            print(f"{label}: {line}", file=sys.stderr, flush=True)
        if not wrong:
            servers = ", ".join(server.name for server in session.asked)
            took = time.monotonic() - began
            print(f"{label}: {len(session.calls())} calls, {servers} ({took:.1f} s)", flush=True)
        passed.append(not wrong)
    return passed


def run_all(given: argparse.Namespace, bench: Bench, work: Path) -> bool:
    """Run the sessions of both ways at the same time, then look at the records."""
    clients = [given.client] if given.client else [*PROGRAMS, *AGENTS]
    ways = [given.only] if given.only else sorted(TENANTS)
    for tenant in TENANTS.values():
        bench.plane.request("POST", "/v1/tenants", {"slug": tenant})
    makers: dict[str, Callable[[], list[Session]]] = {
        "http": lambda: over_http(bench, clients),
        "stdio": lambda: over_stdio(bench, clients, given.sentinel),
    }
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(run, bench, makers[way]()) for way in ways]
        passed = [all(one.result()) for one in runs]
    tenants = [TENANTS[way] for way in ways]
    wrong = [line for tenant in tenants for line in check_tenant(bench.plane, tenant)]
    wrong += audit(bench.plane, given.sentinel, tenants, work)
    for line in wrong:
        print(f"mcp-clients: {line}", file=sys.stderr)
    if not wrong:
        print("mcp-clients: every call is decided once, counted, signed and in the log")
    return all(passed) and not wrong


def main() -> int:
    """Start Sentinel and run every session."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sentinel", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--only", choices=sorted(TENANTS))
    parser.add_argument("--client", choices=[*PROGRAMS, *AGENTS])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        files, home = work / "files", work / "home"
        files.mkdir()
        home.mkdir()
        behind = servers(files)
        log, output = work / "server.log", work / "server.out"
        options = ["--listen", "127.0.0.1:0", "--log", "json", "--data-dir", str(work / "data")]
        options += ["--policies", str(ROOT / "mcp/clients-policies")]
        for server in behind:
            options += ["--allow-command", " ".join(server.command)]
        with running([given.sentinel, "dev", *options], log, output=output):
            url = ready(output, log)
            keys = json.loads((work / "data/keys.json").read_text())
            bench = Bench(behind, ControlPlane(url, keys), Machine(files, home))
            return 0 if run_all(given, bench, work) else 1


if __name__ == "__main__":
    sys.exit(main())
