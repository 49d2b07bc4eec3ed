#!/usr/bin/env python3
"""Record commands in a real terminal and draw them as an SVG.

Usage: terminal.py OUT.svg COMMAND…   runs each command in a pseudo-terminal, in this folder

`docs/images/kill.svg` was made from a running `sentinel dev` like this, in the folder of its data:

    scripts/terminal.py kill.svg "sentinel check …" "sentinel kill …" "sentinel check …"
"""

from __future__ import annotations

import html
import os
import pty
import re
import sys
from pathlib import Path

COLUMNS = 104
LINE = 20  # pixels
CHARACTER = 8.4  # pixels
PADDING = 20  # pixels
STYLE = re.compile(r"\x1b\[([\d;]*)m")
COLORS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "36": "#79c0ff", "90": "#8b949e"}
PLAIN = "#e6edf3"


def record(command: str) -> str:
    """Run a command in a pseudo-terminal and return what it printed."""
    printed = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        printed.extend(data)
        return data

    environment = ["env", f"COLUMNS={COLUMNS}", "TERM=xterm-256color"]
    pty.spawn([*environment, "bash", "-c", command], read)
    return printed.decode().replace("\r\n", "\n")


def spans(line: str) -> str:
    """Turn a line with escape sequences into `tspan` elements."""
    parts = STYLE.split(line)
    color, weight, opacity = PLAIN, "400", "1"
    drawn = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            if part:
                style = f'fill="{color}" font-weight="{weight}" opacity="{opacity}"'
                drawn.append(f"<tspan {style}>{html.escape(part)}</tspan>")
            continue
        for code in part.split(";"):
            if code in ("", "0"):
                color, weight, opacity = PLAIN, "400", "1"
            elif code == "1":
                weight = "700"
            elif code == "2":
                opacity = "0.65"
            else:
                color = COLORS.get(code, color)
    return "".join(drawn)


def draw(lines: list[str]) -> str:
    """Draw a terminal with these lines."""
    width = round(COLUMNS * CHARACTER) + 2 * PADDING
    height = len(lines) * LINE + 2 * PADDING + 24
    text = "\n".join(
        f'<text x="{PADDING}" y="{PADDING + 38 + number * LINE}">{spans(line)}</text>'
        for number, line in enumerate(lines)
    )
    dots = "".join(
        f'<circle cx="{PADDING + 18 * number}" cy="18" r="6" fill="{fill}"/>'
        for number, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" \
xml:space="preserve">
<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>
{dots}
{text}
</svg>
"""


def main() -> int:
    """Record all commands and write the picture."""
    out, *commands = sys.argv[1:]
    lines: list[str] = []
    for command in commands:
        lines.append(f"\x1b[32m$\x1b[0m \x1b[1m{command}\x1b[0m")
        lines.extend(record(command).rstrip("\n").split("\n"))
        lines.append("")
    Path(out).write_text(draw(lines[:-1]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
