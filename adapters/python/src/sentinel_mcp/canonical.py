"""Canonical JSON (RFC 8785) of arguments, and its digest.

Two deviations, both towards refusing or keeping more: integers beyond 2**53 are written exactly, as
the control plane keeps them, where RFC 8785 would round them; and what is not JSON (other types,
keys that are not text, NaN, lone surrogates, more than 64 levels) is refused.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Final

_DEEPEST: Final = 64
# From 1e21 on, and below 1e-6, JavaScript (which RFC 8785 follows) writes an exponent.
_LAST_PLAIN_EXPONENT: Final = 20
_FIRST_PLAIN_EXPONENT: Final = -7

_Put = Callable[[str], None]


class NotJson(ValueError):  # noqa: N818 - says what the value is
    """A value that JSON cannot express without loss."""


def canonical(value: object) -> bytes:
    """Return the canonical form of a value; raises `NotJson`."""
    parts: list[str] = []
    try:
        _write(value, parts.append, _DEEPEST)
        return "".join(parts).encode()
    except UnicodeEncodeError:
        raise NotJson("a text contains half of a surrogate pair") from None
    except RuntimeError:  # Another thread changes an object while it is read.
        raise NotJson("the value cannot be read") from None


def of_object(value: object) -> bytes:
    """Return the canonical form of an object, such as arguments; raises `NotJson`."""
    if not isinstance(value, dict):
        if not isinstance(value, Mapping):
            raise NotJson(f"a value of type `{type(value).__name__}` is not an object")
        try:
            value = dict(value)
        except Exception:  # noqa: BLE001 - a mapping of anyone may raise anything
            raise NotJson("an object cannot be read") from None
    return canonical(value)


def digest(arguments: object) -> str:
    """Return the SHA-256 of the canonical form of arguments in hex; raises `NotJson`."""
    return hashlib.sha256(of_object(arguments)).hexdigest()


def _write(value: object, put: _Put, depth: int) -> None:
    if isinstance(value, str):
        # Without `str.__str__`, a subclass such as an enumeration could say something else.
        put(encode_basestring(str.__str__(value)))
    elif value is None:
        put("null")
    elif isinstance(value, bool):
        put("true" if value else "false")
    elif isinstance(value, int):
        put(_integer(value))
    elif isinstance(value, float):
        put(_number(float.__float__(value)))
    elif depth == 0:
        raise NotJson(f"the value is nested more than {_DEEPEST} levels deep")
    elif isinstance(value, dict):
        _write_object(value, put, depth - 1)
    elif isinstance(value, (list, tuple)):
        _write_array(value, put, depth - 1)
    else:
        raise NotJson(f"a value of type `{type(value).__name__}` is not JSON")


def _write_object(value: dict[object, object], put: _Put, depth: int) -> None:
    members: list[tuple[str, object]] = []
    ascii_keys = True
    for key, member in dict.items(value):
        if not isinstance(key, str):
            raise NotJson(f"a key of type `{type(key).__name__}` is not a text")
        name = str.__str__(key)
        ascii_keys = ascii_keys and name.isascii()
        members.append((name, member))
    if ascii_keys:
        members.sort(key=_name)
    else:
        # RFC 8785 sorts by UTF-16 code units, which differs beyond the basic plane.
        members.sort(key=_code_units)
    before = "{"
    for name, member in members:
        put(f"{before}{encode_basestring(name)}:")
        _write(member, put, depth)
        before = ","
    put("}" if members else "{}")


def _write_array(value: list[object] | tuple[object, ...], put: _Put, depth: int) -> None:
    before = "["
    for item in value:
        put(before)
        _write(item, put, depth)
        before = ","
    put("]" if before == "," else "[]")


def _name(member: tuple[str, object]) -> str:
    return member[0]


def _code_units(member: tuple[str, object]) -> bytes:
    return member[0].encode("utf-16-be")


def _integer(value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:
        raise NotJson("an integer is too large") from None


def _number(value: float) -> str:
    """Return a number as ECMAScript writes it."""
    if not math.isfinite(value):
        raise NotJson("a number is not finite")
    if value == 0:
        return "0"
    # `repr` finds the shortest digits that read back as the same number, as ECMAScript does.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to the power of `point`.
    point = int(exponent or 0) + (len(whole) if whole != "0" else len(digits) - len(fraction))
    digits = digits.rstrip("0")
    return ("-" if value < 0 else "") + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    count = len(digits)
    scientific = point - 1
    if count <= point <= _LAST_PLAIN_EXPONENT + 1:
        return digits + "0" * (point - count)
    if 0 < point <= _LAST_PLAIN_EXPONENT + 1:
        return f"{digits[:point]}.{digits[point:]}"
    if _FIRST_PLAIN_EXPONENT < scientific < 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{fraction}e{scientific:+d}"
