"""A program's own count of the records that it could not send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..codec.base import Field
from .variables import Section

if TYPE_CHECKING:
    from .bpf_object import Object


def program_count(owner: Object, name: str) -> int | None:
    """The value of a global variable of that name, or the sum of a per-CPU or plain array; None where there is neither.

    Raises StateError where it can't be read now.
    """
    for section in owner.parts:
        if isinstance(section, Section) and isinstance(vars(type(section)).get(name), Field):
            return _total(getattr(section, name))
    for part in owner.parts:
        if getattr(part, "name", None) == name and hasattr(part, "values"):
            return sum(map(_total, part.values()))
    return None


def _total(value: object) -> int:
    return sum(map(_total, value)) if isinstance(value, tuple) else int(value)  # type: ignore[call-overload]
