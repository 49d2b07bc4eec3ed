"""Tickets: used once, for what was decided, and cut by kills."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sentinel_mcp import AsyncSentinel, Call, PolicyDenied, Sentinel, current_ticket
from sentinel_mcp.core import core_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentinel_mcp import Settings, Ticket
    from sentinel_mcp.conformance import FakePlane

ARGUMENTS = {"query": "rust", "limit": 3}
KILL = {"tool_name": "lookup", "reason": "incident 4711"}


def _decided(settings: Settings) -> Ticket:
    ticket = Sentinel(settings).decide(Call("lookup", arguments=ARGUMENTS))
    assert core_of(settings).watch.live.wait(5)
    return ticket


def _kill(settings: Settings, plane: FakePlane, target: Mapping[str, Any] = KILL) -> None:
    watch = core_of(settings).watch
    heard = watch.heard
    plane.kill(target)
    deadline = time.monotonic() + 5
    while watch.heard == heard and time.monotonic() < deadline:
        time.sleep(0.001)


class _Lying(dict[str, Any]):
    """Arguments that say one thing and hold another."""

    def items(self) -> Any:
        return ARGUMENTS.items()

    def __iter__(self) -> Any:
        return iter(ARGUMENTS)

    def __getitem__(self, key: str) -> Any:
        return ARGUMENTS[key]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("lookup", {}),
        ("lookup", {"query": "rust"}),
        ("lookup", {**ARGUMENTS, "more": None}),
        ("lookup", {**ARGUMENTS, "limit": "3"}),
        ("lookup", {**ARGUMENTS, "limit": 3.5}),
        ("lookup", {**ARGUMENTS, "limit": True}),
        ("lookup", {**ARGUMENTS, "query": object()}),
        ("lookup", None),
        ("lookup", [["query", "rust"]]),
        ("lookup", _Lying(query="other", limit=3)),
        ("Lookup", ARGUMENTS),
        ("", ARGUMENTS),
        (None, ARGUMENTS),
    ],
)
def test_another_call_does_not_run(settings: Settings, tool: Any, arguments: Any) -> None:
    ticket = _decided(settings)
    assert not ticket.matches(tool, arguments)
    with pytest.raises(PolicyDenied) as raised:
        ticket.verify(tool, arguments)
    assert (raised.value.code, raised.value.decision_id) == (
        "arguments_changed",
        ticket.decision_id,
    )
    # Nor does the right one afterwards: the adapter has lost track of what runs.
    with pytest.raises(PolicyDenied):
        ticket.verify("lookup", ARGUMENTS)


def test_the_same_call_runs_once(settings: Settings) -> None:
    ticket = _decided(settings)
    assert ticket.matches("lookup", {"limit": 3.0, "query": "rust"})
    ticket.verify("lookup", dict(reversed(ARGUMENTS.items())))
    for same in (ticket, copy.deepcopy(ticket), copy.copy(ticket)):
        with pytest.raises(PolicyDenied) as raised:
            same.verify("lookup", ARGUMENTS)
        assert raised.value.code == "ticket_spent"


def test_of_many_threads_one_may_run_it(settings: Settings) -> None:
    ticket = _decided(settings)
    outcomes: list[str] = []
    start = threading.Barrier(16)

    def verify() -> None:
        start.wait()
        try:
            ticket.verify("lookup", ARGUMENTS)
            outcomes.append("ran")
        except PolicyDenied as denied:
            outcomes.append(denied.code)

    threads = [threading.Thread(target=verify) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ran"] + ["ticket_spent"] * 15


def test_a_kill_between_decision_and_run_stops_it(settings: Settings, plane: FakePlane) -> None:
    ticket = _decided(settings)
    _kill(settings, plane)
    with pytest.raises(PolicyDenied) as raised:
        ticket.verify("lookup", ARGUMENTS)
    assert (raised.value.code, raised.value.decision_id) == ("killed", ticket.decision_id)


def test_a_kill_while_the_decision_is_made_stops_it(settings: Settings, plane: FakePlane) -> None:
    """The allow was committed before the kill, and answered after it."""
    _decided(settings)
    decide = plane.decide

    def slowly(check: dict[str, Any]) -> Any:
        answer = decide(check)
        _kill(settings, plane)
        return answer

    plane.decide = slowly  # type: ignore[method-assign]
    ticket = Sentinel(settings).decide(Call("lookup", arguments=ARGUMENTS))
    with pytest.raises(PolicyDenied) as raised:
        ticket.verify("lookup", ARGUMENTS)
    assert raised.value.code == "killed"


def test_a_kill_cancels_the_task_and_no_other(settings: Settings, plane: FakePlane) -> None:
    seen: list[str] = []

    async def tool(name: str) -> str:
        seen.append(f"{name} runs")
        try:
            await asyncio.sleep(3)
        except asyncio.CancelledError:
            seen.append(f"{name} is cut")
            raise
        return name

    async def both() -> list[Any]:
        client = AsyncSentinel(settings)
        run = client.run
        tasks = [
            asyncio.ensure_future(run(Call("lookup"), lambda: tool("lookup"))),
            asyncio.ensure_future(run(Call("x"), lambda: tool("x"))),
        ]
        while len(seen) < 2:  # noqa: ASYNC110 - it is short
            await asyncio.sleep(0.001)
        await asyncio.to_thread(core_of(settings).watch.live.wait, 5)
        await asyncio.to_thread(_kill, settings, plane)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0
        return results

    plane.decide = lambda check: (200, _allow(check))  # type: ignore[method-assign]
    killed, other = asyncio.run(both())
    assert isinstance(killed, PolicyDenied)
    assert killed.code == "killed"
    assert isinstance(killed.__cause__, asyncio.CancelledError)
    assert other == "x"
    assert "lookup is cut" in seen
    assert "x is cut" not in seen


def _allow(_check: object) -> dict[str, Any]:
    return {
        "allow": True,
        "code": "allowed",
        "reason": "r",
        "decision_id": "01a224f8-b15f-7640-8f5a-a43b2fb15b49",
        "reasons": [],
        "obligations": [],
    }


def _running(settings: Settings, plane: FakePlane, tool: Any, *, cancel: bool = False) -> Any:
    """Run a tool, kill it while it runs, and perhaps cancel its task, too."""

    async def main() -> Any:
        client = AsyncSentinel(settings)
        task = asyncio.ensure_future(client.run(Call("lookup"), tool))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(core_of(settings).watch.live.wait, 5)
        if cancel:
            task.cancel()
        await asyncio.to_thread(_kill, settings, plane)
        return await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 5)

    return asyncio.run(main())[0]


def test_a_tool_that_swallows_the_cancellation_loses_its_result(
    settings: Settings, plane: FakePlane
) -> None:
    async def stubborn() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3)
        return "a result after the kill"

    assert _running(settings, plane, stubborn).code == "killed"


def test_a_tool_that_fails_while_it_is_cut_is_killed(settings: Settings, plane: FakePlane) -> None:
    async def failing() -> None:
        try:
            await asyncio.sleep(3)
        finally:
            raise ValueError("the cleanup failed")

    killed = _running(settings, plane, failing)
    assert killed.code == "killed"
    assert isinstance(killed.__cause__, ValueError)


def test_a_cancellation_from_outside_stays_one(settings: Settings, plane: FakePlane) -> None:
    async def tool() -> None:
        await asyncio.sleep(3)

    assert isinstance(_running(settings, plane, tool, cancel=True), asyncio.CancelledError)


def test_a_timeout_around_the_call_stays_one(settings: Settings) -> None:
    async def main() -> None:
        client = AsyncSentinel(settings)
        async with asyncio.timeout(0.2):
            await client.run(Call("lookup"), lambda: asyncio.sleep(3))

    with pytest.raises(TimeoutError):
        asyncio.run(main())


def test_a_plain_function_sees_the_kill(settings: Settings, plane: FakePlane) -> None:
    client = Sentinel(settings)
    runs = threading.Event()
    assert current_ticket() is None

    def tool() -> str:
        ticket = current_ticket()
        assert ticket is not None
        runs.set()
        assert ticket.cancelled.wait(5)
        return "a result after the kill"

    def kill() -> None:
        runs.wait(5)
        core_of(settings).watch.live.wait(5)
        _kill(settings, plane)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(PolicyDenied) as raised:
        client.run(Call("lookup"), tool)
    thread.join()
    assert raised.value.code == "killed"
    assert current_ticket() is None


def test_exceptions_that_are_no_outcome_pass_unsigned(settings: Settings, plane: FakePlane) -> None:
    class Interrupt(Exception):  # noqa: N818
        pass

    def interrupting() -> None:
        raise Interrupt

    def failing() -> None:
        raise ValueError("broken")

    ticket = _decided(settings)
    with pytest.raises(Interrupt):
        ticket.run_blocking("lookup", ARGUMENTS, interrupting, passing=(Interrupt,))
    ticket = _decided(settings)
    with pytest.raises(ValueError, match="broken"):
        ticket.run_blocking("lookup", ARGUMENTS, failing, passing=(Interrupt,))
    signature = ticket.finish("succeeded", "a second outcome is none")
    assert signature.wait(5)
    assert [each.payload["outcome"] for each in plane.signed() if each.payload] == ["failed"]


def test_callbacks_are_called_once_and_can_be_undone(settings: Settings, plane: FakePlane) -> None:
    ticket = _decided(settings)
    called: list[str] = []

    def failing() -> None:
        raise ValueError("a callback that fails")

    ticket.on_cancel(failing)
    ticket.on_cancel(lambda: called.append("first"))
    undo = ticket.on_cancel(lambda: called.append("undone"))
    undo()
    undo()
    _kill(settings, plane)
    _kill(settings, plane, {"reason": "another"})
    assert ticket.cancelled.wait(5)
    ticket.on_cancel(lambda: called.append("late"))
    assert called == ["first", "late"]


def test_a_permit_is_handed_out_only_where_it_is_to_be_passed_on(
    settings: Settings, plane: FakePlane
) -> None:
    plane.decide = lambda check: (200, {**_allow(check), "permit": "p"})  # type: ignore[method-assign]
    assert _decided(settings).permit is None
    passing = settings.replace(pass_permit=True)
    assert Sentinel(passing).decide(Call("lookup")).permit == "p"
    assert "permit='p'" not in repr(Sentinel(passing).decide(Call("lookup")).decision)
    core_of(passing).close()
