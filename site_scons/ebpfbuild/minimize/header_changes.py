"""Compares two vmlinux.h, type by type and field by field, and finds which of the changes a program uses."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .closure import Closure, close
from .fields import Statement, Trimmer, body_statements
from .index import Index
from .modes import title
from .names import UsedNames
from .refs import POINTER_NAMES, declared_name
from .scanner import ATTRIBUTE

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
_BODY = re.compile(r"(?:typedef\s+)?(?:struct|union)\b[^;{]*\{")
_ENUM = re.compile(r"(?:typedef\s+)?enum\b[^;{]*\{")


class FieldChange(NamedTuple):
    """A member or an enumerator, as the old header declares it and as the new one does; empty where one lacks it.

    A member of a nested struct is `outer.inner`. `name` is empty for a type without members, such as a typedef.
    """

    name: str
    old: str
    new: str


class TypeChange(NamedTuple):
    """A declaration such as `struct sock` that one header has alone, or that both have and spell differently.

    `how` is ADDED, REMOVED or CHANGED. `fields` are those of a changed one; none where it has the same in another
    order.
    """

    name: str
    how: str
    fields: tuple[FieldChange, ...] = ()


class UsedChange(NamedTuple):
    """A change of a type that a program's minimized header keeps; `change.fields` are only those that it names.

    `named` is False where it names none of what changed: it holds the type for its size, or another member's sake.
    """

    change: TypeChange
    named: bool


def header_changes(old: Index, new: Index) -> list[TypeChange]:
    """Returns the declarations that differ: those removed, changed, added, each group by name."""
    before, after = _declarations(old), _declarations(new)
    return [
        *(TypeChange(name, REMOVED) for name in sorted(before.keys() - after.keys())),
        *(
            TypeChange(name, CHANGED, _field_changes(before[name], after[name]))
            for name in sorted(before.keys() & after.keys())
            if before[name] != after[name]
        ),
        *(TypeChange(name, ADDED) for name in sorted(after.keys() - before.keys())),
    ]


def used_changes(changes: Iterable[TypeChange], old: Index, new: Index, names: UsedNames) -> list[UsedChange]:
    """Returns those of the changes that a program with these names uses, by the closure of each header.

    What it names is what the mode `fields` keeps: the members that the program says, and the types that they lead to;
    of a type that it has by value all members. What it holds is what `lean` keeps besides, since C wants all of a
    struct.
    """
    names = names.unrenamed()
    held = _titles(old, close(old, names, exact=False)) | _titles(new, close(new, names, exact=False))
    found = [change for change in changes if change.name in held]
    if not found:
        return []
    named = {name for index in (old, new) for name in _named(index, names)}
    return [_used(change, names, change.name in named) for change in found]


def _named(index: Index, names: UsedNames) -> set[str]:
    """Returns the titles of what a program names, those that it only points to among them."""
    closure = close(index, names, exact=False, trimmer=Trimmer(index, names.members))
    pointed = {f"{keyword} {tag}" for tag, keyword in closure.declared.items() if tag in names.tags}
    return pointed | _titles(index, closure)


def _titles(index: Index, closure: Closure) -> set[str]:
    return {title(index, number) for number in closure.whole}


def _used(change: TypeChange, names: UsedNames, named: bool) -> UsedChange:
    if change.how != CHANGED or not named or change.name.partition(" ")[2] in names.values:
        return UsedChange(change, named)
    fields = tuple(field for field in change.fields if _says(names, field))
    return UsedChange(change._replace(fields=fields), bool(fields))


def _says(names: UsedNames, field: FieldChange) -> bool:
    """Returns True if a program says the name of a member or an enumerator; what has no members is named as a whole."""
    is_enumerator = (field.old or field.new).startswith(field.name)  # a member's text begins with its type
    return not field.name or field.name.rpartition(".")[2] in (names.words if is_enumerator else names.members)


def _declarations(index: Index) -> Mapping[str, str]:
    """Returns the text of each declaration by its title, blanks and attributes aside."""
    skipped = index.lines | index.forwards
    numbers = (number for number in range(len(index.starts)) if number not in skipped)
    return {title(index, number): _plain(index.declaration(number)) for number in numbers}


def _plain(text: str) -> str:
    return " ".join((ATTRIBUTE.sub(" ", text) if "__attribute__" in text else text).split())


def _field_changes(old: str, new: str) -> tuple[FieldChange, ...]:
    before, after = _fields(old), _fields(new)
    if ("" in before) != ("" in after):
        return (FieldChange("", old.rstrip(";"), new.rstrip(";")),)
    return tuple(
        FieldChange(name, before.get(name, ""), after.get(name, ""))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    )


def _fields(text: str) -> dict[str, str]:
    """Returns the members or enumerators of a declaration, each with its text; without any, the whole text as ""."""
    if enum := _ENUM.match(text):
        values = text[enum.end() : text.rindex("}")].split(",")
        return {value.partition("=")[0].strip(): value.strip() for value in values if value.strip()}
    if body := _BODY.match(text):
        return _members(body_statements(text, body.end(), text.rindex("}")), "")
    return {"": text.rstrip(";")}


def _members(body: Iterable[Statement], prefix: str) -> dict[str, str]:
    """Returns the members of a struct's body; those of an anonymous one inside of it are its own, as C has it."""
    found: dict[str, str] = {}
    for each in body:
        last = each.text if each.inner is None else each.tail
        text = last.strip().removeprefix("}").rstrip(";").strip()
        name = _name(text)
        if each.inner is not None:
            if name:
                found[prefix + name] = f"{each.text.strip()} … }} {text}"
            found |= _members(each.inner, f"{prefix}{name}." if name else prefix)
        elif name:
            found[prefix + name] = text
    return found


def _name(text: str) -> str:
    """Returns the name that a member declares, `a, b` for two; empty for padding such as `long: 0`."""
    if "(" in text:
        return next(iter(POINTER_NAMES.findall(text)), text)
    first, *others = text.split(",")
    if ":" in first and len(first.partition(":")[0].split()) < 2:
        return ""
    return ", ".join(map(declared_name, (first, *others)))
