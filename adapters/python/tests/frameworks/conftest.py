"""What the tests of all frameworks use: one real control plane, and settings for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sentinel_mcp.core as core_module
from sentinel_mcp import Settings
from sentinel_mcp.conformance import RealPlane, Toolbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[4]
# What `make build` makes, unless the environment names another.
os.environ.setdefault("SENTINEL_BINARY", str(ROOT / "target/release/sentinel"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """Run a control plane for all tests."""
    with RealPlane(tmp_path_factory.mktemp("plane")) as running:
        yield running
        # A server that stops waits for its event streams, of which each client keeps one.
        for core in [*core_module._cores.values()]:
            core.close()


@pytest.fixture
def plane(server: RealPlane) -> RealPlane:
    """Return the control plane with a tenant of the test's own."""
    return server.renew()


@pytest.fixture
def settings(plane: RealPlane, tmp_path: Path) -> Settings:
    """Return settings of a client of the control plane."""
    return Settings(
        url=plane.url,
        api_key=plane.api_key,
        tenant=plane.tenant,
        agent="conformance-agent",
        spool_dir=tmp_path / "spool",
    )


@pytest.fixture
def toolbox() -> Toolbox:
    """Return tools that record what is done to them."""
    return Toolbox()


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Return a function that runs an example, as its guide says, and returns what it prints."""
    with RealPlane(tmp_path / "plane", policies=ROOT / "policies/shipped") as running:
        environment = {
            **os.environ,
            "SENTINEL_URL": running.url,
            "SENTINEL_API_KEY": running.api_key,
            "SENTINEL_TENANT": "platform-eng",
            "SENTINEL_SPOOL_DIR": str(tmp_path / "spool"),
        }

        def run(name: str) -> str:
            command = [sys.executable, str(ROOT / "examples/python" / name)]
            done = subprocess.run(  # noqa: S603 - our own programs
                command, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run
