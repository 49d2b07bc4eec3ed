"""Fixtures: a control plane that can misbehave, a real one, and settings for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sentinel_mcp import Settings
from sentinel_mcp.conformance import FakePlane, RealPlane
from sentinel_mcp.core import core_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT = Path(__file__).parents[3] / "target/release/sentinel"
if BUILT.is_file():
    os.environ.setdefault("SENTINEL_BINARY", str(BUILT))


@pytest.fixture
def plane() -> Iterator[FakePlane]:
    with FakePlane() as plane:
        yield plane


@pytest.fixture
def settings(plane: FakePlane, tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(
        url=plane.url,
        api_key=plane.api_key,
        tenant=plane.tenant,
        agent="triage",
        timeout=2.0,
        spool_dir=tmp_path / "spool",
    )
    yield settings
    core_of(settings).close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    with RealPlane(tmp_path_factory.mktemp("plane")) as plane:
        yield plane


@pytest.fixture
def real(server: RealPlane, tmp_path: Path) -> Iterator[Settings]:
    server.renew()
    settings = Settings(
        url=server.url,
        api_key=server.api_key,
        tenant=server.tenant,
        agent="triage",
        spool_dir=tmp_path / "spool",
    )
    yield settings
    core_of(settings).close()
