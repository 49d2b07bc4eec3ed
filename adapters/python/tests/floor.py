#!/usr/bin/env python3
"""Say which oldest version of a framework the package permits, and which versions were tested.

Usage: floor.py FRAMEWORK                     what its environment is made from, with `==`
       floor.py --table ENVIRONMENTS NAME…    a table of what the environments have
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
VERSION = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


def floor(name: str) -> tuple[str, str]:
    """Return the distribution of a framework and its oldest version."""
    extras = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    requirement = extras["optional-dependencies"][name][0]
    found = re.match(r"([A-Za-z0-9._-]+)>=([0-9.]+)", requirement)
    if found is None:
        raise ValueError(f"no oldest version in `{requirement}`")
    return found[1], found[2]


def installed(python: Path, distribution: str) -> str:
    """Return the version that an environment has."""
    command = [str(python), "-c", VERSION, distribution]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or "-"


def main() -> None:
    """Print what is asked for."""
    if sys.argv[1] != "--table":
        distribution, version = floor(sys.argv[1])
        print(f"{distribution}=={version}")
        for beside in (PACKAGE / f"requirements/{sys.argv[1]}.in").read_text().split():
            if beside != distribution:
                print(beside)
        return
    environments = Path(sys.argv[2])
    print("| extra | distribution | oldest tested | newest tested |")
    print("|---|---|---|---|")
    for name in sys.argv[3:]:
        distribution, _ = floor(name)
        oldest = installed(environments / f"{name}-floor/bin/python", distribution)
        newest = installed(environments / f"{name}/bin/python", distribution)
        print(f"| `{name}` | {distribution} | {oldest} | {newest} |")


if __name__ == "__main__":
    main()
