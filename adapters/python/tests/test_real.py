"""With a real control plane: signatures that verify, exact quotas, idempotent calls."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sentinel_mcp import AsyncSentinel, Call, PolicyDenied, Sentinel, governed
from sentinel_mcp.core import core_of

if TYPE_CHECKING:
    from sentinel_mcp import Settings
    from sentinel_mcp.conformance import RealPlane
    from sentinel_mcp.signer import Entry


def test_the_manifest_of_an_outcome_verifies(real: Settings, server: RealPlane) -> None:
    ticket = Sentinel(real).decide(Call("lookup", arguments={"query": "x"}, purpose="research"))
    ticket.verify("lookup", {"query": "x"})
    manifest = ticket.finish("succeeded", {"found": 3}).wait(10)
    verified = server.ask("GET", f"/provenance/verify/{manifest}", "auditor")
    assert verified["verified"] is True
    assert (verified["manifest"]["tool"], verified["manifest"]["purpose"]) == ("lookup", "research")
    record = server.ask("GET", f"/v1/manifests/{manifest}", "auditor")
    assert record["decision_id"] == ticket.decision_id


def test_an_outcome_that_is_sent_again_is_the_same_manifest(
    real: Settings, server: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash between the answer and the removal from the spool."""
    ticket = Sentinel(real).decide(Call("lookup"))
    core = core_of(real)
    taken: list[Entry] = []
    put = core.signer.put

    def take(entry: Entry) -> None:
        taken.append(entry)
        put(entry)

    monkeypatch.setattr(core.signer, "put", take)
    manifest = ticket.finish("succeeded", 1).wait(10)
    assert core.signer._spool.add(taken[0].key, taken[0].request)
    deadline = time.monotonic() + 20
    while Sentinel(real).spool_stats().entries and time.monotonic() < deadline:
        time.sleep(0.05)
    listed = server.ask("GET", f"/v1/manifests?tenant={real.tenant}", "auditor")["items"]
    assert [each["id"] for each in listed] == [manifest]


def test_a_quota_is_exact_whoever_calls(real: Settings) -> None:
    ran: list[int] = []

    @governed("metered", settings=real)
    async def tool(number: int) -> None:
        ran.append(number)

    @governed("metered", settings=real)
    def blocking(number: int) -> None:
        ran.append(number)

    async def several() -> list[object]:
        return await asyncio.gather(*map(tool, range(20)), return_exceptions=True)

    def one(number: int) -> object:
        try:
            return blocking(number)
        except PolicyDenied as denied:
            return denied

    with ThreadPoolExecutor(16) as threads:
        loops = [threads.submit(asyncio.run, several()) for _ in range(4)]
        results = [
            *threads.map(one, range(40)),
            *(each for loop in loops for each in loop.result()),
        ]
    assert len(ran) == 1
    denied = [each for each in results if isinstance(each, PolicyDenied)]
    assert len(denied) == 119
    assert {each.code for each in denied} == {"quota_exceeded"}


def test_a_call_with_an_identifier_is_decided_once(real: Settings, server: RealPlane) -> None:
    client = Sentinel(real)
    first = client.decide(Call("metered", arguments={"a": 1}, call_id="run:call:1"))
    again = client.decide(Call("metered", arguments={"a": 1}, call_id="run:call:1"))
    assert first.decision_id == again.decision_id
    with pytest.raises(PolicyDenied) as raised:
        client.decide(Call("metered", arguments={"a": 2}, call_id="run:call:1"))
    assert raised.value.code == "call_id_conflict"
    # Both tickets may run, as a node that is run again does: each outcome is signed.
    for ticket in (first, again):
        ticket.verify("metered", {"a": 1})
        assert ticket.finish("succeeded", time.monotonic()).wait(10)
    assert len(server.signed()) == 2


def test_kills_under_load_let_no_call_through(real: Settings, server: RealPlane) -> None:
    """No call that begins after the kill has returned runs its tool."""
    killed = threading.Event()
    late: list[str] = []
    ran: list[int] = []

    async def calls() -> None:
        client = AsyncSentinel(real)
        while not killed.is_set() or len(late) < 50:
            begins_late = killed.is_set()

            async def tool(late_one: bool = begins_late) -> None:  # noqa: FBT001
                ran.append(1)
                if late_one:
                    raise AssertionError("a call that began after the kill has run")

            try:
                await client.run(Call("lookup"), tool)
            except PolicyDenied as denied:
                if begins_late:
                    late.append(denied.code)

    def kill() -> None:
        while len(ran) < 30:
            time.sleep(0.005)
        server.kill({"tool_name": "lookup", "reason": "incident 4711"})
        killed.set()

    thread = threading.Thread(target=kill)
    thread.start()

    async def main() -> None:
        await asyncio.gather(*(calls() for _ in range(8)))

    asyncio.run(main())
    thread.join()
    assert set(late) == {"killed"}


def test_a_key_that_is_not_valid(real: Settings) -> None:
    wrong = real.replace(api_key="snt_agent_wrong")
    with pytest.raises(Exception, match="key_refused"):
        Sentinel(wrong).decide(Call("lookup"))
    core_of(wrong).close()
