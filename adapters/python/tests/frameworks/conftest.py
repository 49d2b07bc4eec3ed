"""What the tests of all frameworks use: one real control plane, and settings for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sentinel_mcp import Settings
from sentinel_mcp.conformance import RealPlane, Toolbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 10.0


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """Run a control plane for all tests."""
    folder = tmp_path_factory.mktemp("plane")
    with RealPlane(folder) as running:
        yield running


@pytest.fixture
def settings(plane: RealPlane, tmp_path: Path) -> Settings:
    """Return settings of a client of the control plane."""
    return Settings(
        url=plane.url,
        api_key=plane.api_key,
        tenant="conformance",
        agent="conformance-agent",
        spool_dir=tmp_path / "spool",
    )


@pytest.fixture
def toolbox() -> Toolbox:
    """Return tools that record what is done to them."""
    return Toolbox()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Return a function that waits until something is so."""

    def wait(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, "it did not become so"
            time.sleep(0.02)

    return wait
