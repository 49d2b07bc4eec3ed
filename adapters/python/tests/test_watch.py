"""The kill stream: reconnecting, resuming, and what is not believed."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from sentinel_mcp import AsyncSentinel, Call, PolicyDenied, Sentinel
from sentinel_mcp.core import core_of
from sentinel_mcp.kills import Kill
from sentinel_mcp.sse import Block, Parser

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentinel_mcp import Settings
    from sentinel_mcp.conformance import FakePlane


def _until(holds: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def _watched(settings: Settings) -> Any:
    watch = core_of(settings).watch
    watch.start()
    _until(watch.live.is_set)
    return watch


def test_a_kill_denies_without_a_request_and_a_restore_ends_that(
    settings: Settings, plane: FakePlane
) -> None:
    watch = _watched(settings)
    client = Sentinel(settings)
    plane.kill({"tool_name": "lookup", "reason": "why"})
    _until(lambda: watch.denial("lookup", None))
    with pytest.raises(PolicyDenied) as raised:
        client.decide(Call("lookup"))
    assert raised.value.code == "killed"
    assert "why" in raised.value.reason
    assert plane.checks() == 0
    client.decide(Call("explode"))
    plane.restore({"tool_name": "lookup"})
    _until(lambda: watch.denial("lookup", None) is None)
    client.decide(Call("lookup"))
    assert plane.checks() == 2


def test_while_the_stream_is_broken_every_call_is_asked_about(
    settings: Settings, plane: FakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = _watched(settings)
    plane.kill({"tool_name": "lookup", "reason": "why"})
    _until(lambda: watch.denial("lookup", None))
    monkeypatch.setattr(plane, "subscribe", _never)
    plane.break_streams()
    _until(lambda: not watch.live.is_set())
    with pytest.raises(PolicyDenied) as raised:
        Sentinel(settings).decide(Call("lookup"))
    assert raised.value.code == "killed"
    assert plane.checks() == 1
    # What is remembered does not deny, either: the kill may be over.
    plane._kills.clear()
    Sentinel(settings).decide(Call("lookup"))


def _never() -> Any:
    raise ConnectionAbortedError


def test_a_kill_that_was_missed_cancels_after_the_reconnection(
    settings: Settings, plane: FakePlane
) -> None:
    async def main() -> str:
        client = AsyncSentinel(settings)
        running = asyncio.Event()

        async def tool() -> None:
            running.set()
            await asyncio.sleep(10)

        task = asyncio.ensure_future(client.run(Call("lookup"), tool))
        await running.wait()
        await asyncio.to_thread(_until, core_of(settings).watch.live.is_set)
        plane._tell = lambda *_: None  # type: ignore[method-assign] # the event is lost
        plane.kill({"tool_name": "lookup", "reason": "why"})
        plane.break_streams()
        with pytest.raises(PolicyDenied) as raised:
            await asyncio.wait_for(task, 5)
        return raised.value.code

    assert asyncio.run(main()) == "killed"


def test_it_resumes_after_the_last_event(settings: Settings, plane: FakePlane) -> None:
    watch = _watched(settings)
    plane.kill({"tool_name": "lookup", "reason": "why"})
    _until(lambda: watch.denial("lookup", None))
    assert watch._last_id == f"run-{plane._epoch}"
    plane.break_streams()
    _until(lambda: len(plane.last_event_ids) == 2 and watch.live.is_set())
    assert plane.last_event_ids == [None, watch._last_id]


def test_an_event_that_the_state_already_has_is_not_applied_again(
    settings: Settings, plane: FakePlane
) -> None:
    """A restore that is sent again must not end a later kill."""
    watch = _watched(settings)
    plane.kill({"tool_name": "lookup", "reason": "why"})
    _until(lambda: watch.denial("lookup", None))
    (kill,) = plane._kills.values()
    plane.break_streams()
    _until(lambda: len(plane.last_event_ids) == 2 and watch.live.is_set())
    plane._tell("kill_switch.restored", kill)  # Of the epoch that `sync` told of.
    time.sleep(0.1)
    assert watch.denial("lookup", None)


@pytest.mark.parametrize(
    "event",
    [
        "event: sync\ndata: {}\n\n",
        "event: sync\ndata: nonsense\n\n",
        'event: sync\ndata: {"epoch": true, "kills": []}\n\n',
        'event: sync\ndata: {"epoch": 9, "kills": [{"kill_id": 1}]}\n\n',
        'event: kill_switch.disabled\ndata: {"reason": "x"}\n\n',
        'event: kill_switch.restored\ndata: {"reason": "x", "metadata": {}}\n\n',
        "event: kill_switch.disabled\ndata: \xff\xfe\n\n",
    ],
)
def test_what_cannot_be_read_ends_the_stream_and_allows_nothing(
    settings: Settings, plane: FakePlane, event: str
) -> None:
    watch = _watched(settings)
    plane.kill({"tool_name": "lookup", "reason": "why"})
    _until(lambda: watch.denial("lookup", None))
    asked = len(plane.last_event_ids)
    plane._streams[0].put(event.encode("latin-1"))
    _until(lambda: len(plane.last_event_ids) > asked and watch.live.is_set())
    assert watch.denial("lookup", None)


def test_a_revoked_key_ends_running_calls(settings: Settings, plane: FakePlane) -> None:
    _watched(settings)
    ticket = Sentinel(settings).decide(Call("lookup"))
    data = json.dumps({"event": "closed", "code": "key_revoked"})
    plane._streams[0].put(f"event: closed\ndata: {data}\n\n".encode())
    assert ticket.cancelled.wait(5)
    with pytest.raises(PolicyDenied) as raised:
        ticket.verify("lookup", {})
    assert raised.value.code == "key_revoked"


@pytest.mark.parametrize("answer", ["yes", "no", "hangs", "garbage"])
def test_a_kill_that_only_the_control_plane_can_match_is_asked_about(
    settings: Settings, plane: FakePlane, answer: str
) -> None:
    watch = _watched(settings)
    ticket = Sentinel(settings).decide(Call("lookup", arguments={"query": "x"}))
    if answer == "yes":
        plane.resume = lambda request: (200, {"resumed": True, **request})  # type: ignore[method-assign]
    elif answer == "hangs":
        plane.answers["/v1/permits/resume"] = {"fault": "hang"}
    elif answer == "garbage":
        plane.answers["/v1/permits/resume"] = {
            "answer": {"status": 200, "headers": {"content-type": "text/plain"}, "body": "yes"}
        }
    heard = watch.heard
    plane.kill({"principal": "someone", "reason": "why"})
    _until(lambda: watch.heard > heard)
    _until(lambda: any(path == "/v1/permits/resume" for path, _ in plane.requests))
    assert ticket.cancelled.wait(2) is (answer != "yes")
    (asked,) = [body for path, body in plane.requests if path == "/v1/permits/resume"]
    assert asked["arguments"] == {"query": "x"}


def test_a_stream_that_is_refused_costs_nothing_but_cancellation(
    settings: Settings, plane: FakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane, "subscribe", _never)
    Sentinel(settings).decide(Call("lookup")).verify("lookup", {})


def _kill(scope: str, **fields: str) -> Kill:
    return Kill("id", scope, "why", fields.get("tenant"), fields.get("tool"), fields.get("agent"))


@pytest.mark.parametrize(
    ("kill", "covers"),
    [
        (_kill("global"), True),
        (_kill("tenant", tenant="t"), True),
        (_kill("tenant", tenant="other"), False),
        (_kill("tenant"), False),
        (_kill("tool", tenant="t", tool="x"), True),
        (_kill("tool", tenant="t", tool="y"), False),
        (_kill("tool", tenant="other", tool="x"), False),
        (_kill("agent", agent="AGENT"), True),
        (_kill("agent", agent="other"), False),
        (_kill("agent"), None),
        (_kill("tenant_agent", tenant="t", agent="Agent"), True),
        (_kill("tenant_agent", tenant="other", agent="agent"), False),
        (_kill("principal"), None),
        (_kill("tenant_principal", tenant="t"), None),
        (_kill("tenant_principal", tenant="other"), False),
        (_kill("tool_scope"), None),
        (_kill("tool_tag"), None),
        (_kill("a_later_scope"), None),
        (_kill("a_later_scope", tenant="other"), False),
    ],
)
def test_what_a_kill_covers(kill: Kill, covers: bool | None) -> None:  # noqa: FBT001
    assert kill.covers("t", "x", "agent") is covers
    if kill.scope in {"agent", "tenant_agent"} and kill.tenant != "other":
        assert kill.covers("t", "x", None) is None


def test_events_are_cut_wherever_the_bytes_are() -> None:
    text = (
        ": comment\r\n\r\nretry: 1000\nid: 1\nevent: a\ndata: {\ndata: }\n\n"
        "event: nothing\n\nid: 2\ndata:x\n\ndata: \u00e9\n\n"
    ).encode()
    expected = [
        Block("1", "a", "{\n}"),
        Block("2", "message", "x"),
        Block(None, "message", "\u00e9"),
    ]
    for size in range(1, len(text)):
        parser = Parser()
        parts = [text[start : start + size] for start in range(0, len(text), size)]
        assert [block for part in parts for block in parser.feed(part)] == expected


@pytest.mark.parametrize("line", [b"data: " + b"x" * 100, b"x" * 100])
def test_an_event_without_end_is_refused(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentinel_mcp.sse.LARGEST", 1000)
    parser = Parser()
    with pytest.raises(ValueError, match="too large"):
        list(parser.feed((line + b"\n") * 20))
    with pytest.raises(ValueError, match="too large"):
        list(Parser().feed(b"x" * 2000))
