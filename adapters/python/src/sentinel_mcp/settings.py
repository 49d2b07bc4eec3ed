"""What a client is told: where the control plane is, who asks, and how."""

from __future__ import annotations

import math
import os
import re
import sys
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from sentinel_mcp.errors import ControlPlaneUnavailable

Signing = Literal["background", "before_return", "off"]
SpoolFull = Literal["deny", "drop"]

_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]+")
_MIB: Final = 1024 * 1024
_LONGEST_TIMEOUT: Final = 600.0


def _state_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/sentinel-mcp/spool"
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local/state"
    return base / "sentinel-mcp/spool"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Settings of a client. `Settings.from_env()` reads the `SENTINEL_*` variables."""

    url: str
    """Where the control plane is: `http://127.0.0.1:8000`."""
    api_key: str = field(repr=False)
    """A key with the role `agent`."""
    tenant: str
    agent: str | None = None
    """The agent that calls, where a call does not name one."""
    timeout: float = 5.0
    """Seconds that a decision may take in total: to connect, send and receive."""
    sign: Signing = "background"
    """When outcomes are signed: after the call has returned, before it returns, or not at all."""
    pass_permit: bool = False
    """Whether the tool's server redeems the permit (`ticket.permit`)."""
    kill_stream: bool = True
    """Whether to listen for kills. Without it, running calls are not cancelled."""
    spool_dir: Path | None = None
    """Where outcomes wait that could not be signed; in the user's state folder when `None`."""
    spool_bytes: int = 16 * _MIB
    on_spool_full: SpoolFull = "deny"
    """What happens when no more outcomes can be kept: the next call is denied, or the outcome is
    dropped, which is logged and counted."""

    def __post_init__(self) -> None:
        """Refuse settings that could not work, or would do something else than they say."""
        problem = self._problem()
        if problem is not None:
            raise ControlPlaneUnavailable(problem, "not_configured")

    @classmethod
    def from_env(cls, **overrides: object) -> Settings:
        """Return the settings of the environment; `overrides` win over it.

        Raises `ControlPlaneUnavailable` with the code `not_configured` when something is missing.
        """
        names = {each.name for each in fields(cls)}
        unknown = sorted(overrides.keys() - names)
        if unknown:
            raise TypeError(f"unknown settings: {', '.join(unknown)}")
        values = {name: value for name, value in _of_environment().items() if value}
        values.update({name: value for name, value in overrides.items() if value is not None})
        for name in ("url", "api_key", "tenant"):
            if not values.get(name):
                missing = f"`SENTINEL_{name.upper()}` is not set"
                raise ControlPlaneUnavailable(missing, "not_configured")
        return cls(**values)  # type: ignore[arg-type]  # `__post_init__` checks the types

    def replace(self, **changes: object) -> Settings:
        """Return a copy with changes."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def spool(self) -> Path:
        """The folder of the spool."""
        return self.spool_dir or _state_folder()

    def __reduce__(self) -> tuple[object, tuple[dict[str, object]]]:
        """Pickle without the key: the process that loads it has `SENTINEL_API_KEY`."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["api_key"]
        return _unpickled, (values,)

    def _problem(self) -> str | None:
        return self._endpoint_problem() or self._number_problem() or self._choice_problem()

    def _endpoint_problem(self) -> str | None:
        for name in ("url", "api_key", "tenant"):
            value: object = getattr(self, name)
            if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
                return f"the setting `{name}` is not a text of printable ASCII without blanks"
        agent: object = self.agent
        if agent is not None and (not isinstance(agent, str) or not agent):
            return "the setting `agent` is not a name"
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError:
            return "the setting `url` is not a URL"
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return "the setting `url` does not begin with `http://` or `https://` and a host"
        if parts.username is not None or parts.query or parts.fragment:
            return "the setting `url` has a user, a query or a fragment"
        return None

    def _number_problem(self) -> str | None:
        timeout: object = self.timeout
        folder: object = self.spool_dir
        number = float(timeout) if type(timeout) in {int, float} else math.nan  # type: ignore[arg-type]
        if not 0 < number <= _LONGEST_TIMEOUT:  # NaN is not, either.
            return "the setting `timeout` is not between 0 and 600 seconds"
        if type(self.spool_bytes) is not int or self.spool_bytes < 0:
            return "the setting `spool_bytes` is not a number of bytes"
        if folder is not None and not isinstance(folder, Path):
            return "the setting `spool_dir` is not a path"
        return None

    def _choice_problem(self) -> str | None:
        for name, choices in (("sign", get_args(Signing)), ("on_spool_full", get_args(SpoolFull))):
            if getattr(self, name) not in choices:
                return f"the setting `{name}` is none of {', '.join(choices)}"
        for name in ("pass_permit", "kill_stream"):
            if type(getattr(self, name)) is not bool:
                return f"the setting `{name}` is neither true nor false"
        return None


def _of_environment() -> dict[str, object]:
    read = os.environ.get
    values: dict[str, object] = {
        name: read(f"SENTINEL_{name.upper()}", "").strip()
        for name in ("url", "api_key", "tenant", "agent", "sign", "on_spool_full")
    }
    folder = read("SENTINEL_SPOOL_DIR", "")
    values["spool_dir"] = Path(folder) if folder else None
    for name, kind in (("timeout", float), ("spool_bytes", int)):
        text = read(f"SENTINEL_{name.upper()}", "").strip()
        try:
            values[name] = kind(text) if text else None
        except ValueError:
            problem = f"`SENTINEL_{name.upper()}` is not a number"
            raise ControlPlaneUnavailable(problem, "not_configured") from None
    return values


def _unpickled(values: dict[str, object]) -> Settings:
    return Settings.from_env(**values)
