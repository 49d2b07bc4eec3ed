"""Over TLS: only a control plane whose certificate is trusted decides."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from sentinel_mcp import AsyncSentinel, Call, ControlPlaneUnavailable, Sentinel, Settings
from sentinel_mcp.conformance import FakePlane
from sentinel_mcp.core import core_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AUTHORITY = trustme.CA()


@pytest.fixture
def plane() -> Iterator[FakePlane]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    with FakePlane(tls=context) as plane:
        yield plane


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))


async def _several(client: AsyncSentinel) -> None:
    for _ in range(3):
        await asyncio.gather(*(client.decide(Call("lookup")) for _ in range(3)))


@pytest.mark.usefixtures("trusted")
def test_a_trusted_certificate(settings: Settings, plane: FakePlane) -> None:
    asyncio.run(_several(AsyncSentinel(settings)))
    for _ in range(3):
        Sentinel(settings).decide(Call("lookup"))
    assert plane.checks() == 12
    assert core_of(settings).watch.live.wait(5)
    assert Sentinel(settings).decide(Call("lookup")).finish("succeeded", 1).wait(5)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("fault", ["half", "close", "hang", "drip"])
def test_an_answer_that_is_cut(settings: Settings, plane: FakePlane, fault: str) -> None:
    answer = {"headers": {"content-type": "application/json"}, "body": '{"allow":true}'}
    plane.answers["/policy/check"] = {"fault": fault, "of": answer}
    settings = settings.replace(timeout=1.0, kill_stream=False)
    with pytest.raises(ControlPlaneUnavailable):
        asyncio.run(_several(AsyncSentinel(settings)))
    with pytest.raises(ControlPlaneUnavailable):
        Sentinel(settings).decide(Call("lookup"))


def test_a_certificate_of_anyone(settings: Settings, plane: FakePlane) -> None:
    settings = settings.replace(kill_stream=False)
    with pytest.raises(ControlPlaneUnavailable) as raised:
        asyncio.run(_several(AsyncSentinel(settings)))
    assert raised.value.code == "unreachable"
    with pytest.raises(ControlPlaneUnavailable):
        Sentinel(settings).decide(Call("lookup"))
    assert plane.checks() == 0


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_host(settings: Settings, plane: FakePlane) -> None:
    elsewhere = settings.replace(url=plane.url.replace("127.0.0.1", "localhost"), kill_stream=False)
    with pytest.raises(ControlPlaneUnavailable):
        asyncio.run(_several(AsyncSentinel(elsewhere)))
    with pytest.raises(ControlPlaneUnavailable):
        Sentinel(elsewhere).decide(Call("lookup"))
    assert plane.checks() == 0
