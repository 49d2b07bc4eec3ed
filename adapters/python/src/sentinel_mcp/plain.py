"""Arguments of Python functions, as JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import uuid

_AS_TEXT = (pathlib.PurePath, uuid.UUID, decimal.Decimal)
_DATES = (dt.date, dt.time)


def plain(value: object) -> object:  # noqa: PLR0911 - one for each type
    """Return a value as JSON where there is one obvious way; else the value itself.

    What stays something else is refused when the call is decided.
    """
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, _DATES):
        return value.isoformat()
    if isinstance(value, _AS_TEXT):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        each = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in each}
    dump = getattr(type(value), "model_dump", None)
    if callable(dump):  # A pydantic model.
        return plain(dump(value, mode="json"))
    return value
