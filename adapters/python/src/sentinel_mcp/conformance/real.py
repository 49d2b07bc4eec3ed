"""A real control plane: the binary `sentinel`, started for the tests."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from sentinel_mcp.conformance.plane import Signed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TENANT: Final = "conformance"
REGISTERED: Final = ("lookup", "forbidden", "metered", "wait", "explode")
_PATIENCE: Final = 30.0


class RealPlane:
    """Runs `sentinel dev` in a folder of its own, on a free port.

    The binary is `binary`, `SENTINEL_BINARY` or `sentinel` on the path.
    """

    principal = ""

    def __init__(
        self, folder: Path, binary: str | None = None, policies: Path | None = None
    ) -> None:
        found = binary or os.environ.get("SENTINEL_BINARY") or shutil.which("sentinel")
        if found is None:
            raise FileNotFoundError("no binary `sentinel`: set SENTINEL_BINARY")
        self._binary = found
        self._folder = folder
        self._policies = policies
        self._process: subprocess.Popen[bytes] | None = None
        self._keys: dict[str, str] = {}
        self._tenants = 0
        self.tenant = TENANT
        self.url = ""
        self.api_key = ""

    def renew(self) -> Self:
        """Begin again in a new tenant: without the kills, quotas and decisions of earlier cases."""
        self._tenants += 1
        self.tenant = f"{TENANT}-{self._tenants}"
        for tool in REGISTERED:
            self.register(self.tenant, tool)
        return self

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        policies = self._policies or self._own_policies()
        output = self._folder / "out"
        command = [self._binary, "dev", "--listen", "127.0.0.1:0", "--log", "json"]
        command += ["--data-dir", str(self._folder / "data"), "--policies", str(policies)]
        with output.open("wb") as out, (self._folder / "err").open("wb") as err:
            self._process = subprocess.Popen(command, stdout=out, stderr=err)  # noqa: S603
        self.url = self._ready(output)
        self._keys = json.loads((self._folder / "data/keys.json").read_text())
        self.api_key = self.key("agent")
        self.principal = self._own_principal()
        return self.renew()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def key(self, role: str) -> str:
        """Return the key of a role."""
        return self._keys[role]

    def register(self, tenant: str, tool: str, **fields: object) -> dict[str, Any]:
        """Register a tool, and its tenant when it is new."""
        body = {"tenant_slug": tenant, "name": tool, "url": f"https://{tool}.example"}
        body.update({"owner": "kit", "scopes": [], "metadata": {}, **fields})  # type: ignore[dict-item]
        answer: dict[str, Any] = self.ask("POST", "/register", "admin", body, expected=201)
        return answer

    def kill(self, target: Mapping[str, Any]) -> None:
        """Kill within the tenant of the kit."""
        self.ask("POST", "/kill", "operator", {"tenant_slug": self.tenant, **target})

    def restore(self, target: Mapping[str, Any]) -> None:
        """Restore within the tenant of the kit."""
        self.ask("POST", "/kill/restore", "operator", {"tenant_slug": self.tenant, **target})

    def checks(self) -> int:
        """How many calls were decided."""
        return len(self.decisions())

    def decisions(self) -> list[str]:
        """Return the decisions that were made."""
        return [each["id"] for each in self._pages("/v1/decisions")]

    def signed(self) -> list[Signed]:
        """Return the outcomes that were signed; their payloads are not kept."""
        return [
            Signed(each["tool"], None, each.get("decision_id"))
            for each in self._pages("/v1/manifests")
        ]

    def ask(
        self,
        method: str,
        path: str,
        role: str,
        body: object = None,
        *,
        expected: int = 200,
    ) -> Any:  # noqa: ANN401 - a document
        """Send a request with the key of a role, and return the answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=_PATIENCE)
        headers = {"authorization": f"Bearer {self.key(role)}", "content-type": "application/json"}
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status != expected:
            raise RuntimeError(f"{method} {path}: {response.status} {text!r}")
        return json.loads(text)

    def _pages(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.ask("GET", f"{path}?tenant={self.tenant}&limit=100{cursor}", "admin")
            items += page["items"]
            if page.get("next_cursor") is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    def _own_policies(self) -> Path:
        policies = self._folder / "policies"
        policies.mkdir(exist_ok=True)
        policy = resources.files(__package__).joinpath("policy.rego").read_text("utf-8")
        (policies / "policy.rego").write_text(policy)
        return policies

    def _own_principal(self) -> str:
        keys = self.ask("GET", "/v1/keys", "admin")["items"]
        return str(next(key["name"] for key in keys if key["role"] == "agent"))

    def _ready(self, output: Path) -> str:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            for line in output.read_text().splitlines():
                if '"server.ready"' in line:
                    return str(json.loads(line)["url"])
            time.sleep(0.05)
        raise RuntimeError(f"no server:\n{(self._folder / 'err').read_text()[-2000:]}")
