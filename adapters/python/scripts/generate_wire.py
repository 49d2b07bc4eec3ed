#!/usr/bin/env python3
"""Write `sentinel_mcp/wire.py`: the types of requests and answers, from docs/openapi.json.

Usage: generate_wire.py [--check]

With --check nothing is written; the exit status is 1 when the file is out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[3]
SCHEMA: Final = ROOT / "docs/openapi.json"
WIRE: Final = ROOT / "adapters/python/src/sentinel_mcp/wire.py"
# What clients send and read, and what that refers to.
WANTED: Final = (
    "CheckRequest",
    "CheckAnswer",
    "SignRequest",
    "SignAnswer",
    "RedeemRequest",
    "RedeemAnswer",
    "ResumeRequest",
    "ResumeAnswer",
    "SyncEvent",
    "UncoveredRequest",
    "Problem",
)
HEAD: Final = '''"""Types of requests and answers.

Generated from docs/openapi.json by scripts/generate_wire.py: do not edit.
"""

from typing import Any, Literal, NotRequired, TypedDict
'''
PLAIN: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict[str, Any]",
}
LONGEST: Final = 80
Schema = dict[str, Any]


def generated(schema: Schema) -> str:
    """Return the module."""
    every: dict[str, Schema] = schema["components"]["schemas"]
    names = closure(every, WANTED)
    parts = [HEAD]
    for name in names:
        write = literal if "enum" in every[name] else structure
        parts.append(f"\n\n{write(name, every[name])}")
    return "".join(parts)


def closure(every: dict[str, Schema], wanted: tuple[str, ...]) -> list[str]:
    """Return the names that are wanted, each after all that it refers to."""
    found: list[str] = []
    for name in sorted(wanted):
        found += [
            each for each in closure(every, tuple(references(every[name]))) if each not in found
        ]
        if name not in found:
            found.append(name)
    return found


def references(schema: object) -> list[str]:
    """Return the names that a schema refers to."""
    if isinstance(schema, list):
        return [name for item in schema for name in references(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"].rpartition("/")[2]] if isinstance(schema.get("$ref"), str) else []
    return own + [name for member in schema.values() for name in references(member)]


def literal(name: str, schema: Schema) -> str:
    """Return the type of a closed set."""
    return f"{name} = {wrapped(python_type(schema), '')}\n"


def structure(name: str, schema: Schema) -> str:
    """Return the class of an object."""
    required = schema.get("required", [])
    lines = [f"class {name}(TypedDict):", f'    """{first_sentence(schema)}"""', ""]
    for field, of in sorted(schema.get("properties", {}).items()):
        kind = wrapped(python_type(of), "    ")
        lines.append(f"    {field}: {kind if field in required else f'NotRequired[{kind}]'}")
    return "\n".join(lines) + "\n"


def python_type(schema: Schema) -> str:
    """Return the annotation of a schema."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return f"Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
    if "oneOf" in schema:
        return " | ".join(python_type(each) for each in schema["oneOf"])
    kinds = schema.get("type")
    if kinds is None:
        return "Any"
    return " | ".join(
        f"list[{python_type(schema['items'])}]" if kind == "array" else PLAIN[kind]
        for kind in ([kinds] if isinstance(kinds, str) else kinds)
    )


def wrapped(kind: str, indent: str) -> str:
    """Return a long closed set with a line for each member, as ruff writes it."""
    if not kind.startswith("Literal[") or len(kind) < LONGEST:
        return kind
    members = kind.removeprefix("Literal[").removesuffix("]").split(", ")
    lines = "".join(f"{indent}    {member},\n" for member in members)
    return f"Literal[\n{lines}{indent}]"


def first_sentence(schema: Schema) -> str:
    """Return what the schema says of itself first."""
    text = " ".join(schema.get("description", "").split())
    return text.partition(". ")[0].rstrip(".:") + "."


def main() -> int:
    """Write the module, or compare it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = generated(json.loads(SCHEMA.read_text("utf-8")))
    if options.check:
        return 0 if WIRE.read_text("utf-8") == text else 1
    WIRE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
