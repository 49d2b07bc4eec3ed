"""Clients across event loops, threads, forks, copies and failing connections."""

from __future__ import annotations

import asyncio
import copy
import multiprocessing
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sentinel_mcp import (
    AsyncSentinel,
    Call,
    ControlPlaneUnavailable,
    PolicyDenied,
    Sentinel,
    SentinelError,
    Settings,
    governed,
    net,
)
from sentinel_mcp.core import core_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sentinel_mcp.conformance import FakePlane


def test_many_loops_and_threads_share_one_client(settings: Settings, plane: FakePlane) -> None:
    client, blocking = AsyncSentinel(settings), Sentinel(settings)

    async def several() -> None:
        tickets = await asyncio.gather(*(client.decide(Call("lookup")) for _ in range(20)))
        assert len({ticket.decision_id for ticket in tickets}) == 20

    def work(number: int) -> None:
        if number % 2:
            asyncio.run(several())
        else:
            assert [blocking.decide(Call("lookup")).decision_id for _ in range(20)]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(24)))
    assert plane.checks() == 24 * 20


def test_a_closed_loop_leaves_nothing_behind(settings: Settings) -> None:
    client = AsyncSentinel(settings)
    for _ in range(30):
        asyncio.run(_decide(client))
    loops = core_of(settings).http._loops
    asyncio.run(_decide(client))
    assert len(loops) <= 2


async def _decide(client: AsyncSentinel) -> None:
    await client.decide(Call("lookup"))


def test_connections_are_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _count(monkeypatch)
    client = AsyncSentinel(settings.replace(kill_stream=False))

    async def several() -> None:
        for _ in range(5):
            await client.decide(Call("lookup"))

    asyncio.run(several())
    blocking = Sentinel(settings.replace(kill_stream=False))
    for _ in range(5):
        blocking.decide(Call("lookup"))
    assert len(made) == 2


def _count(monkeypatch: pytest.MonkeyPatch, fail: int = 0) -> list[int]:
    """Count connections; the first `fail` of them fail."""
    made: list[int] = []

    def connecting(original: Callable[..., Any]) -> Callable[..., Any]:
        def connect(*args: Any) -> Any:
            made.append(1)
            if len(made) <= fail:
                raise net.ConnectError("refused")
            return original(*args)

        return connect

    for kind in (net.AsyncStream, net.Stream):
        monkeypatch.setattr(kind, "connect", connecting(kind.connect))
    return made


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize(("fail", "allowed"), [(0, True), (1, True), (2, False)])
def test_connecting_is_tried_twice(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    fail: int,
    allowed: bool,  # noqa: FBT001
    blocking: bool,  # noqa: FBT001
) -> None:
    settings = settings.replace(kill_stream=False, sign="off")
    made = _count(monkeypatch, fail)
    if allowed:
        _once(settings, blocking=blocking)
    else:
        with pytest.raises(ControlPlaneUnavailable) as raised:
            _once(settings, blocking=blocking)
        assert raised.value.code == "unreachable"
    assert len(made) == min(fail + 1, 2)


def _once(settings: Settings, *, blocking: bool) -> None:
    if blocking:
        Sentinel(settings).decide(Call("lookup"))
    else:
        asyncio.run(_decide(AsyncSentinel(settings)))


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("fault", ["close", "hang"])
def test_a_request_that_was_sent_is_not_repeated(
    settings: Settings,
    plane: FakePlane,
    fault: str,
    blocking: bool,  # noqa: FBT001
) -> None:
    plane.answers["/policy/check"] = {"fault": fault}
    with pytest.raises(ControlPlaneUnavailable):
        _once(settings.replace(timeout=0.3), blocking=blocking)
    assert plane.checks() == 1


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_the_deadline_is_total_and_does_not_heed_the_clock(
    settings: Settings,
    plane: FakePlane,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    blocking: bool,  # noqa: FBT001
) -> None:
    plane.answers["/policy/check"] = {"fault": fault}
    jumps = iter(range(10_000))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (next(jumps) % 2))
    started = time.monotonic()
    with pytest.raises(ControlPlaneUnavailable) as raised:
        _once(settings.replace(timeout=0.5), blocking=blocking)
    assert raised.value.code == "timeout"
    assert 0.4 < time.monotonic() - started < 1.5


@pytest.mark.parametrize("blocking", [True, False])
def test_a_resolver_that_hangs_is_not_waited_for(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    blocking: bool,  # noqa: FBT001
) -> None:
    release = threading.Event()

    def hang(*_: object, **__: object) -> list[Any]:
        release.wait(5)
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    settings = settings.replace(url="http://sentinel.example:1", timeout=0.3, kill_stream=False)
    started = time.monotonic()
    if blocking:
        with pytest.raises(ControlPlaneUnavailable):
            Sentinel(settings).decide(Call("lookup"))
        assert time.monotonic() - started < 1.5
    else:
        asyncio.run(_times_out(settings, release))
    release.set()
    core_of(settings).close()


async def _times_out(settings: Settings, release: threading.Event) -> None:
    started = time.monotonic()
    with pytest.raises(ControlPlaneUnavailable):
        await AsyncSentinel(settings).decide(Call("lookup"))
    assert time.monotonic() - started < 1.5
    release.set()  # `asyncio.run` waits for the threads of its resolver.


def test_an_answer_out_of_step_is_not_taken_for_the_next(settings: Settings) -> None:
    """A server that answers twice must not answer the next call with the second."""
    body = (
        b'{"allow":true,"code":"allowed","reason":"r","reasons":[],"obligations":[],'
        b'"decision_id":"01a224f8-b15f-7640-8f5a-a43b2fb15b49"}'
    )
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    answer += b"%d\r\n\r\n" % len(body) + body
    connections = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            nonlocal connections
            for _ in range(4):
                peer, _ = listener.accept()
                connections += 1
                peer.recv(65536)
                peer.sendall(answer * 2)
                held.append(peer)

        held: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = settings.replace(url=url, kill_stream=False, sign="off")
        blocking = Sentinel(settings)
        for _ in range(2):
            blocking.decide(Call("lookup"))

        async def twice() -> None:
            client = AsyncSentinel(settings)
            for _ in range(2):
                await client.decide(Call("lookup"))

        asyncio.run(twice())
        thread.join(5)
        assert connections == 4
        for peer in held:
            peer.close()


def test_clients_copy_and_pickle_without_the_key(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in (AsyncSentinel(settings), Sentinel(settings)):
        assert copy.deepcopy({"tool": [client]})["tool"][0] is client
        pickled = pickle.dumps(client)
        assert settings.api_key.encode() not in pickled
        assert settings.api_key not in repr(settings)
        monkeypatch.delenv("SENTINEL_API_KEY", raising=False)
        loaded = pickle.loads(pickled)  # noqa: S301 - our own
        if isinstance(loaded, Sentinel):
            with pytest.raises(ControlPlaneUnavailable) as raised:
                loaded.decide(Call("lookup"))
            assert raised.value.code == "not_configured"
            monkeypatch.setenv("SENTINEL_API_KEY", settings.api_key)
            assert loaded.decide(Call("lookup")).decision_id


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": ""},
        {"url": "127.0.0.1:8000"},
        {"url": "ftp://host"},
        {"url": "http://user:secret@host"},
        {"url": "http://host/?tenant=x"},
        {"url": "http://host:99999"},
        {"url": "http://"},
        {"api_key": ""},
        {"api_key": "key\r\nx-other: 1"},
        {"api_key": "k\u00e9y"},
        {"tenant": None},
        {"agent": ""},
        {"timeout": 0},
        {"timeout": -1.0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": "5"},
        {"timeout": True},
        {"sign": "later"},
        {"on_spool_full": None},
        {"kill_stream": "no"},
        {"pass_permit": 1},
        {"spool_bytes": -1},
        {"spool_bytes": 1.5},
        {"spool_dir": "/tmp"},  # noqa: S108 - a text, and no path
    ],
)
def test_settings_that_could_not_work_are_refused(
    settings: Settings, wrong: dict[str, object]
) -> None:
    with pytest.raises(ControlPlaneUnavailable) as raised:
        settings.replace(**wrong)
    assert raised.value.code == "not_configured"


def test_without_settings_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SENTINEL_"):
            monkeypatch.delenv(name)
    ran = []

    @governed("lookup")
    def tool() -> None:
        ran.append(1)

    with pytest.raises(SentinelError) as raised:
        tool()
    assert raised.value.code == "not_configured"
    assert not ran
    with pytest.raises(TypeError):
        Settings.from_env(urll="http://host")


@pytest.mark.parametrize(
    "call",
    [
        Call("lookup", arguments={"x": float("nan")}),
        Call("lookup", arguments={"x": object()}),
        Call("lookup", arguments={"x": "\ud800"}),
        Call("lookup", arguments={1: "x"}),  # type: ignore[dict-item]
        Call("lookup", arguments=[1]),  # type: ignore[arg-type]
        Call("lookup", arguments="text"),  # type: ignore[arg-type]
        Call("lookup", arguments=None),  # type: ignore[arg-type]
        Call("lookup", context={"x": {1, 2}}),
        Call("\ud800"),
    ],
)
def test_a_call_that_is_not_json_is_not_asked_about(
    settings: Settings, plane: FakePlane, call: Call
) -> None:
    with pytest.raises(PolicyDenied) as raised:
        Sentinel(settings).decide(call)
    assert raised.value.code == "invalid_arguments"
    assert plane.checks() == 0


def test_the_decorator_decides_arguments_by_name(settings: Settings, plane: FakePlane) -> None:
    class Tools:
        @governed("lookup", purpose="research", action="read", settings=settings)
        def find(self, query: str, *more: int, limit: int = 3, **rest: str) -> tuple[Any, ...]:
            """Find things."""
            return (query, more, limit, rest)

    tools = Tools()
    assert tools.find("a", 1, 2, extra="b") == ("a", (1, 2), 3, {"extra": "b"})
    (_, check) = plane.requests[0]
    assert check["arguments"] == {"query": "a", "more": [1, 2], "limit": 3, "extra": "b"}
    assert (check["purpose"], check["action"], check["agent"]) == ("research", "read", "triage")
    assert tools.find.__doc__ == "Find things."
    with pytest.raises(TypeError):
        governed("lookup")(_generator)


def _generator() -> Any:
    yield 1


def test_an_argument_that_changes_while_it_is_decided_stops_the_call(
    settings: Settings, plane: FakePlane
) -> None:
    ran = []
    names = ["a"]

    @governed("lookup", settings=settings)
    def tool(names: list[str]) -> None:
        ran.append(names)

    decide = plane.decide

    def change(check: dict[str, Any]) -> Any:
        names.append("b")
        return decide(check)

    plane.decide = change  # type: ignore[method-assign]
    with pytest.raises(PolicyDenied) as raised:
        tool(names)
    assert raised.value.code == "arguments_changed"
    assert not ran


def _in_child(settings: Settings, results: Any) -> None:
    ticket = Sentinel(settings).decide(Call("lookup"))
    ticket.verify("lookup", {})
    signature = ticket.finish("succeeded", "child")
    live = core_of(settings).watch.live.wait(5)
    results.put((ticket.decision_id, signature.wait(5), live))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_have_connections_and_threads_of_their_own(
    settings: Settings, plane: FakePlane, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_API_KEY", settings.api_key)
    parent = Sentinel(settings)
    ticket = parent.decide(Call("lookup"))
    ticket.verify("lookup", {})
    assert core_of(settings).watch.live.wait(5)
    context: Any = multiprocessing.get_context(method)
    results = context.Queue()
    child = context.Process(target=_in_child, args=(settings, results))
    child.start()
    decision, manifest, live = results.get(timeout=30)
    child.join(10)
    assert decision != ticket.decision_id
    assert manifest
    assert live
    assert parent.decide(Call("lookup")).decision_id not in {decision, ticket.decision_id}
    assert ticket.finish("succeeded", 1).wait(5)
    assert len(plane.signed()) == 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_ticket_is_good_in_one_process_only(settings: Settings) -> None:
    ticket = Sentinel(settings).decide(Call("lookup"))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the child
        try:
            ticket.verify("lookup", {})
            os.write(write, b"ran")
        except PolicyDenied as denied:
            os.write(write, denied.code.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"ticket_spent"
    ticket.verify("lookup", {})
    with pytest.raises(PolicyDenied):
        pickle.loads(pickle.dumps(ticket)).verify("lookup", {})  # noqa: S301 - our own


def test_the_end_of_the_process_signs_what_waits(plane: FakePlane, tmp_path: Path) -> None:
    program = (
        "from sentinel_mcp import Call, Sentinel\n"
        "for _ in range(50):\n"
        "    Sentinel().run(Call('lookup'), lambda: 1)\n"
    )
    env = {
        **os.environ,
        "SENTINEL_URL": plane.url,
        "SENTINEL_API_KEY": plane.api_key,
        "SENTINEL_TENANT": "conformance",
        "SENTINEL_SPOOL_DIR": str(tmp_path / "spool"),
    }
    started = time.monotonic()
    assert _python(program, env) == (0, b"")
    assert len(plane.signed()) == 50
    # The same with a control plane that does not sign: nothing is lost, and nothing hangs.
    plane.answers["/provenance/sign"] = {"fault": "hang"}
    returned, said = _python(program, env)
    assert returned == 0, said
    assert len(list((tmp_path / "spool").glob("*/*.json"))) == 50
    assert time.monotonic() - started < 30


def _python(program: str, env: dict[str, str]) -> tuple[int, bytes]:
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, env=env, check=False, capture_output=True)  # noqa: S603
    return done.returncode, done.stderr


def test_whatever_fails_is_a_denial(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some frameworks run the tool when a hook raises something that they do not know."""
    core = core_of(settings)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(core.watch, "denial", broken)
    for blocking in (True, False):
        with pytest.raises(ControlPlaneUnavailable) as raised:
            _once(settings, blocking=blocking)
        assert raised.value.code == "check_failed"
