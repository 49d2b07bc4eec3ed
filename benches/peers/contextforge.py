#!/usr/bin/env python3
"""Run IBM ContextForge in front of one MCP server, for `sentinel-bench all --only gateway`.

Usage: contextforge.py URL FOLDER. Serves as its own command `mcpgateway` does, in one process, and
prints where as one line of JSON once the server is registered with it. Authentication, rate limits
and the recording of metrics are off, and responses are JSON: all of that spares it work.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 160.0  # seconds
SECRETS = (
    "AUTH_ENCRYPTION_SECRET",
    "BASIC_AUTH_PASSWORD",
    "DEFAULT_USER_PASSWORD",
    "JWT_SECRET_KEY",
    "PLATFORM_ADMIN_PASSWORD",
)
SETTINGS = {
    "ALLOW_UNAUTHENTICATED_ADMIN": "true",
    "AUTH_REQUIRED": "false",
    "CACHE_TYPE": "memory",
    "COMPRESSION_ENABLED": "false",
    "DB_METRICS_RECORDING_ENABLED": "false",
    "ENVIRONMENT": "development",
    "JSON_RESPONSE_ENABLED": "true",
    "LOG_LEVEL": "ERROR",
    "MCPGATEWAY_ADMIN_API_ENABLED": "false",
    "MCPGATEWAY_UI_ENABLED": "false",
    "MCP_REQUIRE_AUTH": "false",
    "PLUGINS_ENABLED": "false",
    "RATE_LIMITING_ENABLED": "false",
    "SSRF_ALLOW_LOCALHOST": "true",
    "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
    "STRUCTURED_LOGGING_ENABLED": "false",
    "USE_STATEFUL_SESSIONS": "false",
}


def configure(folder: Path) -> None:
    """Set what it reads from the environment, with an empty database."""
    database = folder / "contextforge.db"
    for path in folder.glob("contextforge.db*"):
        path.unlink()
    os.chdir(folder)
    os.environ.update(SETTINGS)
    os.environ["DATABASE_URL"] = f"sqlite:///{database}"
    for name in SECRETS:
        os.environ[name] = secrets.token_urlsafe(48)


def ask(url: str, body: object = None) -> object:
    """Send one request, and return what comes back."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def register(address: str, upstream: str) -> None:
    """Register the server as soon as it is up, and say where it serves; end the process if not."""
    base, end = f"http://{address}", time.monotonic() + PATIENCE
    while True:
        try:
            ask(f"{base}/health")
            break
        except (OSError, ValueError):
            if time.monotonic() > end:
                os._exit(1)
            time.sleep(0.2)
    body = {"name": "bench", "url": upstream, "transport": "STREAMABLEHTTP"}
    try:
        print(ask(f"{base}/gateways", body), file=sys.stderr)
        tools = ask(f"{base}/tools")
    except urllib.error.HTTPError as error:
        print(error, error.read().decode(), file=sys.stderr, flush=True)
        os._exit(1)
    names = [tool["name"] for tool in tools] if isinstance(tools, list) else []
    if len(names) != 1:
        print(f"the tools are {names}", file=sys.stderr, flush=True)
        os._exit(1)
    print(json.dumps({"address": address, "path": "/mcp", "tool": names[0]}), flush=True)


def main() -> None:
    """Serve on a free port until killed."""
    upstream, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    configure(folder)
    import uvicorn  # noqa: PLC0415 - it and what it loads read the environment set above

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    host, port = listener.getsockname()
    threading.Thread(target=register, args=(f"{host}:{port}", upstream), daemon=True).start()
    config = uvicorn.Config("mcpgateway.main:app", log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
