"""Signing: what is signed, when, and what becomes of what could not be."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import logging
import os
import pickle
import re
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sentinel_mcp import AsyncSentinel, Call, PolicyDenied, Sentinel, signer
from sentinel_mcp.canonical import canonical
from sentinel_mcp.core import core_of
from sentinel_mcp.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentinel_mcp import Settings, Signature
    from sentinel_mcp.conformance import FakePlane
    from sentinel_mcp.wire import SignRequest

DOWN = {"answer": {"status": 503, "headers": {"content-type": "text/plain"}, "body": "down"}}
REFUSED = {
    "answer": {
        "status": 409,
        "headers": {"content-type": "application/problem+json"},
        "body": json.dumps({"status": 409, "code": "decision_mismatch", "detail": "differs"}),
    }
}
REQUEST: SignRequest = {
    "tenant_slug": "conformance",
    "tool_name": "lookup",
    "action": "call",
    "payload": {"outcome": "succeeded"},
}


def _until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def _run(settings: Settings, result: object = "done") -> Signature:
    ticket = Sentinel(settings).decide(Call("lookup", arguments={"query": "secret question"}))
    ticket.verify("lookup", {"query": "secret question"})
    return ticket.finish("succeeded", result)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signer, "_FLUSH_EVERY", 0.1)


def test_digests_are_signed_and_nothing_else(settings: Settings, plane: FakePlane) -> None:
    result = {"answer": "secret answer", "score": 1.0}
    assert _run(settings, result).wait(5)
    (signed,) = plane.signed()
    assert signed.payload is not None
    assert set(signed.payload) == {"outcome", "arguments_sha256", "result_sha256", "salt"}
    assert signed.payload["outcome"] == "succeeded"
    arguments = canonical({"query": "secret question"})
    assert signed.payload["arguments_sha256"] == hashlib.sha256(arguments).hexdigest()
    salted = bytes.fromhex(signed.payload["salt"]) + canonical(result)
    assert signed.payload["result_sha256"] == hashlib.sha256(salted).hexdigest()
    assert len(signed.payload["salt"]) == 64
    (_, request) = plane.requests[-1]
    assert "secret" not in json.dumps(request)
    assert re.fullmatch(r"[A-Za-z0-9_.:-]{40,200}", request["idempotency_key"])


def test_equal_results_have_different_digests(settings: Settings, plane: FakePlane) -> None:
    for _ in range(2):
        _run(settings).wait(5)
    first, second = plane.signed()
    assert first.payload is not None
    assert second.payload is not None
    assert first.payload["result_sha256"] != second.payload["result_sha256"]


class _Unrepresentable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class _Odd:
    def __repr__(self) -> str:
        return "\ud800"


@pytest.mark.parametrize("result", [object(), _Unrepresentable(), _Odd(), b"\xff", float("nan")])
def test_any_result_is_signed(settings: Settings, plane: FakePlane, result: object) -> None:
    assert _run(settings, result).wait(5)
    assert len(plane.signed()) == 1


def test_the_result_is_that_of_its_time(settings: Settings, plane: FakePlane) -> None:
    result = ["a"]
    signature = _run(settings, result)
    result.append("b")
    signature.wait(5)
    (signed,) = plane.signed()
    assert signed.payload is not None
    salted = bytes.fromhex(signed.payload["salt"]) + canonical(["a"])
    assert signed.payload["result_sha256"] == hashlib.sha256(salted).hexdigest()


def test_a_handle_is_awaited_in_any_loop_and_by_many(settings: Settings) -> None:
    signature = _run(settings)

    async def several() -> list[str | None]:
        async def one() -> str | None:
            return await signature

        return await asyncio.gather(*(one() for _ in range(5)))

    first, second = asyncio.run(several()), asyncio.run(several())
    assert len({*first, *second, signature.wait()}) == 1
    assert signature.state == "signed"
    assert copy.deepcopy(signature) is signature
    loaded = pickle.loads(pickle.dumps(signature))  # noqa: S301 - our own
    assert (loaded.state, loaded.wait()) == ("signed", signature.manifest_id)


def test_background_signing_delays_no_call(settings: Settings, plane: FakePlane) -> None:
    plane.answers["/provenance/sign"] = {"fault": "hang"}

    async def main() -> float:
        client = AsyncSentinel(settings)
        started = time.monotonic()
        for _ in range(20):
            await client.run(Call("lookup"), _nothing)
        return time.monotonic() - started

    assert asyncio.run(main()) < 1.5


async def _nothing() -> None:
    pass


def test_before_return_waits_and_off_does_not_sign(settings: Settings, plane: FakePlane) -> None:
    first = settings.replace(sign="before_return")
    Sentinel(first).run(Call("lookup"), lambda: 1)
    assert len(plane.signed()) == 1
    asyncio.run(AsyncSentinel(first).run(Call("lookup"), _nothing))
    assert len(plane.signed()) == 2
    off = settings.replace(sign="off")
    Sentinel(off).run(Call("lookup"), lambda: 1)
    signature = _run(off)
    assert (signature.wait(1), signature.state) == (None, "off")
    time.sleep(0.3)
    assert len(plane.signed()) == 2
    for each in (first, off):
        core_of(each).close()


@pytest.mark.usefixtures("quick")
def test_what_fails_is_spooled_and_sent_later(settings: Settings, plane: FakePlane) -> None:
    plane.answers["/provenance/sign"] = DOWN
    signatures = [_run(settings) for _ in range(7)]
    assert [signature.wait(5) for signature in signatures] == [None] * 7
    assert {signature.state for signature in signatures} == {"spooled"}
    stats = Sentinel(settings).spool_stats()
    assert (stats.entries, stats.dropped) == (7, 0)
    assert stats.bytes > 0
    assert stats.oldest_age is not None
    assert 0 <= stats.oldest_age < 60
    plane.answers["/provenance/sign"] = None
    _until(lambda: len(plane.signed()) == 7)
    _until(lambda: Sentinel(settings).spool_stats().entries == 0)
    assert len({signed.decision_id for signed in plane.signed()}) == 7
    keys = [body["idempotency_key"] for path, body in plane.requests if path == "/provenance/sign"]
    assert len(set(keys)) == 7  # Each was sent again under its key.


@pytest.mark.usefixtures("quick")
def test_the_spool_is_sent_while_calls_go_on(
    settings: Settings, plane: FakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signer, "_BURST", 20)
    spool = Spool(settings)
    for number in range(50):  # More than two bursts.
        assert spool.add(f"key-{number}", REQUEST)
    client = Sentinel(settings)
    deadline = time.monotonic() + 20
    while client.spool_stats().entries:
        assert time.monotonic() < deadline, "the spool is not sent"
        client.run(Call("lookup"), lambda: 1)
    core_of(settings).close()
    assert len(plane.signed()) + spool.stats(0).entries == 50 + plane.checks()


@pytest.mark.usefixtures("quick")
def test_what_is_refused_for_good_is_dropped(
    settings: Settings, plane: FakePlane, caplog: pytest.LogCaptureFixture
) -> None:
    plane.answers["/provenance/sign"] = REFUSED
    with caplog.at_level(logging.DEBUG, "sentinel_mcp"):
        signature = _run(settings)
        signature.wait(5)
    assert signature.state == "dropped"
    stats = Sentinel(settings).spool_stats()
    assert (stats.entries, stats.dropped) == (0, 1)
    (_, request) = plane.requests[-1]
    assert f"decision_mismatch (decision {request['decision_id']})" in caplog.text
    assert "secret" not in caplog.text
    assert settings.api_key not in caplog.text


def test_the_spool_is_readable_by_its_owner_only(settings: Settings, plane: FakePlane) -> None:
    plane.answers["/provenance/sign"] = DOWN
    old = os.umask(0)
    try:
        _run(settings).wait(5)
    finally:
        os.umask(old)
    (entry,) = settings.spool.glob("*/*.json")
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    for folder in (entry.parent, entry.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    text = entry.read_text()
    assert "secret" not in text
    assert settings.api_key not in text


def test_a_spool_that_is_open_to_others_is_not_used(settings: Settings) -> None:
    spool = Spool(settings)
    spool.folder.mkdir(parents=True)
    spool.folder.chmod(0o755)
    assert not spool.add("key", REQUEST)


@pytest.mark.usefixtures("quick")
def test_a_full_spool_denies_the_next_call(settings: Settings, plane: FakePlane) -> None:
    settings = settings.replace(spool_bytes=6000)
    plane.answers["/provenance/sign"] = DOWN
    client = Sentinel(settings)
    ran = []

    def many() -> None:
        for _ in range(100):
            client.run(Call("lookup"), lambda: ran.append(1))
            time.sleep(0.01)

    with pytest.raises(PolicyDenied) as raised:
        many()
    assert raised.value.code == "spool_full"
    used = client.spool_stats()
    assert 0 < used.bytes <= 6000
    checks = plane.checks()
    assert checks == len(ran)
    # Once the control plane signs again, calls run again.
    plane.answers["/provenance/sign"] = None
    _until(lambda: client.spool_stats().entries == 0)
    _until(lambda: _runs(client))
    assert client.spool_stats().dropped == 0
    core_of(settings).close()
    assert len(plane.signed()) + Spool(settings).stats(0).entries == plane.checks()


def _runs(client: Sentinel) -> bool:
    try:
        client.run(Call("lookup"), lambda: 1)
    except PolicyDenied:
        return False
    return True


def test_a_full_spool_drops_where_the_settings_say_so(
    settings: Settings, plane: FakePlane, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings.replace(spool_bytes=1000, on_spool_full="drop")
    plane.answers["/provenance/sign"] = DOWN
    signatures = [_run(settings) for _ in range(10)]
    for signature in signatures:
        signature.wait(5)
    assert signatures[-1].state == "dropped"
    stats = Sentinel(settings).spool_stats()
    assert stats.bytes <= 1000
    assert stats.dropped + stats.entries == 10
    assert "spool_full" in caplog.text
    core_of(settings).close()


@pytest.mark.usefixtures("quick")
def test_an_entry_that_cannot_be_read_is_set_aside(settings: Settings, plane: FakePlane) -> None:
    spool = Spool(settings)
    assert spool.add("key", REQUEST)
    for number, text in enumerate(("{", "[]", '{"version": 2, "key": "k", "request": {}}', "\xff")):
        name = f"{number:013d}-{number:032x}.json"
        (spool.folder / name).write_text(text, "latin-1")
    core_of(settings).signer.start()
    _until(lambda: len(plane.signed()) == 1)
    _until(lambda: len(list(spool.folder.glob("*.unreadable"))) == 4)
    _until(lambda: Sentinel(settings).spool_stats().entries == 0)
    assert Sentinel(settings).spool_stats().dropped == 4


@pytest.mark.usefixtures("quick")
def test_what_a_crash_left_is_sent(settings: Settings, plane: FakePlane) -> None:
    spool = Spool(settings)
    for key in ("fresh", "stale"):
        assert spool.add(key, REQUEST)
    fresh, stale = (spool.claim(entry) for entry in spool.waiting())
    assert fresh is not None
    assert stale is not None
    lock = spool.folder / "flush.lock"
    lock.write_text("1")
    unfinished = [spool.folder / f".{'0' * 13}-{digit * 32}.json.tmp" for digit in "01"]
    for path in unfinished:
        path.write_text("half an ent")
    for path in (stale, lock, unfinished[0]):
        os.utime(path, (time.time() - 61, time.time() - 61))
    core_of(settings).signer.start()
    _until(lambda: len(plane.signed()) == 1)
    time.sleep(0.5)
    assert len(plane.signed()) == 1
    assert fresh.exists()
    assert not stale.exists()
    assert [path.exists() for path in unfinished] == [False, True]


@pytest.mark.usefixtures("quick")
def test_a_lock_of_another_process_is_respected(settings: Settings, plane: FakePlane) -> None:
    spool = Spool(settings)
    assert spool.add("key", REQUEST)
    with spool.flushing() as ours:
        assert ours
        with Spool(settings).flushing() as theirs:
            assert not theirs
        core_of(settings).signer.start()
        time.sleep(0.5)
        assert plane.signed() == []
    _until(lambda: len(plane.signed()) == 1)


FLUSHER = """
import sys, time
from pathlib import Path
from sentinel_mcp import Settings, signer
from sentinel_mcp.core import core_of
signer._FLUSH_EVERY = 0.02
settings = Settings(url=sys.argv[1], api_key=sys.argv[2], tenant="conformance",
                    spool_dir=Path(sys.argv[3]), kill_stream=False)
core = core_of(settings)
core.signer.start()
deadline = time.monotonic() + 20
while core.signer.stats().entries and time.monotonic() < deadline:
    time.sleep(0.01)
"""


def test_each_entry_is_sent_once_whoever_flushes(settings: Settings, plane: FakePlane) -> None:
    spool = Spool(settings)
    count = 120
    for number in range(count):
        request: SignRequest = {**REQUEST, "payload": {"number": number}}
        assert spool.add(f"key-{number}", request)
    command = [sys.executable, "-c", FLUSHER, plane.url, plane.api_key, str(settings.spool)]
    flushers = [subprocess.Popen(command) for _ in range(4)]  # noqa: S603 - our own
    assert [flusher.wait(40) for flusher in flushers] == [0] * 4
    sent = sorted(signed.payload["number"] for signed in plane.signed() if signed.payload)
    assert sent == list(range(count))
    assert list(spool.folder.iterdir()) == []


def test_many_threads_add_within_the_bound(settings: Settings) -> None:
    settings = settings.replace(spool_bytes=5000)
    spool = Spool(settings)
    added: list[bool] = []

    def add() -> None:
        added.extend(spool.add(f"key-{number}", REQUEST) for number in range(20))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = spool.stats(0)
    assert stats.entries == sum(added)
    assert 4000 < stats.bytes <= 5000


def test_spools_of_two_keys_are_apart(settings: Settings) -> None:
    assert Spool(settings).folder != Spool(settings.replace(api_key="another")).folder
    assert Spool(settings).folder == Spool(settings.replace(url=settings.url + "/")).folder


def test_a_disk_that_is_full_drops_and_says_so(
    settings: Settings, plane: FakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane.answers["/provenance/sign"] = DOWN

    def full(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    signature = _run(settings)
    signature.wait(5)
    assert signature.state == "dropped"
    assert Sentinel(settings).spool_stats().dropped == 1
    with pytest.raises(PolicyDenied) as raised:
        Sentinel(settings).decide(Call("lookup"))
    assert raised.value.code == "spool_full"
    assert not [path for path in Path(settings.spool).glob("*/*") if path.name != "flush.lock"]
