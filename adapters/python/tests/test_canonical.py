"""Canonical JSON: the numbers and orders of RFC 8785, and what is refused."""

from __future__ import annotations

import enum
import json
import math
import random
import struct
from types import MappingProxyType
from typing import Any

import pytest
from sentinel_mcp.canonical import NotJson, canonical, digest
from sentinel_mcp.plain import plain


@pytest.mark.parametrize(
    ("bits", "text"),
    [  # From appendix B of RFC 8785.
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number).decode() == text


def test_numbers_read_back_as_they_were() -> None:
    rng = random.Random(16)  # noqa: S311 - no secret
    for _ in range(20_000):
        (number,) = struct.unpack(">d", rng.randbytes(8))
        if math.isfinite(number):
            assert float(canonical(number)) == number


def test_members_are_sorted_by_utf16_code_units() -> None:
    members = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\u00f6": 7}
    text = canonical(members).decode()
    order = list(json.loads(text))
    assert order == ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_texts_are_escaped_as_little_as_possible() -> None:
    text = '\u20ac$\x0f\nA\'B"\\\\"/\x7f'
    assert canonical(text).decode() == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f"'


def test_equal_values_have_equal_forms() -> None:
    assert digest({"a": 1, "b": [1.0, True, None]}) == digest({"b": (1, True, None), "a": 1.0})
    assert digest({"a": 1}) != digest({"a": True})
    assert digest({"a": ""}) != digest({"a": None})
    assert digest(MappingProxyType({"a": 1})) == digest({"a": 1})
    for wrong in ([], "", None, [("a", 1)]):
        with pytest.raises(NotJson):
            digest(wrong)


def test_integers_are_exact() -> None:
    assert canonical(2**64 - 1) == b"18446744073709551615"
    assert canonical(2**53) != canonical(2**53 + 1)


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def _cycle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        {1: "a"},
        {None: "a"},
        {True: "a"},
        {("a",): 1},
        b"bytes",
        {"a", "b"},
        object(),
        "\ud800",
        {"\udfff": 1},
        {"\U0001f600\ud800": 1, "\U0001f600": 2},
        10**5000,
        _deep(70),
        _deep(100_000),
        _cycle(),
        complex(1, 2),
        iter([1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(NotJson):
        canonical(value)


def test_subclasses_cannot_lie() -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "another"

        def encode(self, *_: object) -> bytes:
            return b"another"

    class Number(int):
        def __repr__(self) -> str:
            return "7"

    class Members(dict[str, int]):
        def items(self) -> Any:
            return [("a", 7)]

    assert canonical([Text("one"), Number(1), Members(a=1)]) == b'["one",1,{"a":1}]'


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


def test_enumerations_are_their_values() -> None:
    assert canonical([Colour.RED, Level.HIGH]) == b'["red",3]'
    assert plain({"c": Colour.RED, "l": (Level.HIGH,)}) == {"c": "red", "l": [3]}
