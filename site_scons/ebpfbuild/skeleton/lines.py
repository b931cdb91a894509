"""Prints lines of generated Python as ruff formats them, none longer than 120."""

import re
import textwrap
from collections.abc import Iterable

from .declarations import PyClass, PyField, PyMap, PyProgram
from .merge import MergedDeclarations
from .names import HINTS
from .programs import LINKS

WIDTH = 120
AMBIGUOUS = ("l", "O", "I")  # what ruff's E741 calls so, and C has


def literal(text: str) -> str:
    """Returns any text as a string of Python: the names of ELF sections may hold all but NUL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(each if each.isprintable() else ascii(each)[1:-1] for each in escaped)}"'


def doc(text: str, indent: int = 0) -> str:
    """Returns a docstring, on as many lines as it takes."""
    space, inner = " " * indent, literal(text)[1:-1]
    if len(space) + len(inner) + 6 <= WIDTH:
        return f'{space}"""{inner}"""'
    first, *others = _wrapped(inner, WIDTH - indent - 6)
    return "\n".join([f'{space}"""{first}', *(f"{space}{each}" for each in others), f'{space}"""'])


def class_docstring(object_name: str, parts: MergedDeclarations) -> str:
    """Returns the docstring of the skeleton's class: what it has, by name, for `help`."""
    rows = [("maps", parts.maps.merged), ("progs", parts.programs.merged)]
    rows += [(block.merged.attribute, block.merged.fields) for block in parts.sections]
    lines = [f"{object_name}: open, set rodata, load, attach, destroy", ""]
    for what, found in rows:
        names = [row.name if isinstance(row, PyField) else row.attribute for row in found]
        lines += _wrapped(f"{what}: {', '.join(names)}", WIDTH - 8, "    ") if names else []
    if len(lines) == 2:
        return doc(lines[0], 4)
    return "\n".join([f'    """{lines[0]}', *(f"    {each}".rstrip() for each in lines[1:]), '    """'])


def module_comment(text: str) -> str:
    """Returns a comment of the module's, on as many lines as it takes."""
    return "\n".join(f"# {each}" for each in _wrapped(text, WIDTH - 2))


def _wrapped(text: str, width: int, hanging: str = "") -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)


def codecs(fields: Iterable[PyField], order: str) -> str:
    """Returns the name behind which a class's codecs are written: `c`, or bpfloader's own beside a field `c`."""
    return f"bpfloader.{order}_endian" if any(field.name == "c" for field in fields) else "c"


def field_line(field: PyField, codecs: str, outside: int) -> str:
    """Returns a member or variable in the module, in a class that is itself indented by `outside`."""
    codec = field.type.codec if codecs == "c" else re.sub(r"\bc\.", f"{codecs}.", field.type.codec)
    code, comment = f"{field.name} = {codec} @ {field.offset}", field.comment
    return line(code, _comment_for_ruff(field.name, comment, WIDTH - outside - len(code)), outside + 4)


def value_line(name: str, value: int, outside: int) -> str:
    """Returns an enumerator in the module, in a class that is itself indented by `outside`."""
    return line(f"{name} = {value}", _comment_for_ruff(name, "", WIDTH), outside + 4)


def _comment_for_ruff(name: str, comment: str, room: int) -> str:
    """Returns the comment, cut so that it stays beside the name if that is one which ruff has to be told to take."""
    noqa = "noqa: E741"
    return " ".join(filter(None, (noqa, comment and f"({comment})")))[: room - 8] if name in AMBIGUOUS else comment


def map_line(map: PyMap, outside: int) -> str:
    """Returns a map in the module, in a class that is itself indented by `outside`."""
    arguments = ["owner", literal(map.name), *map.arguments]
    return call(f"self.{map.attribute} = bpfloader.{map.kind}", arguments, map.comment, outside + 8)


def program_line(program: PyProgram, outside: int) -> str:
    """Returns a program in the module, in a class that is itself indented by `outside`."""
    head = f"self.{program.attribute} = bpfloader.{program.kind}"
    return call(head, ["owner", literal(program.name)], f'SEC("{program.section}")', outside + 8)


def arch_line(arches: Iterable[str]) -> str:
    """Prints the arches that the module is for, where one differs from another one."""
    return call("ARCH = bpfloader.arch_among", [f'"{arch}"' for arch in arches], "", 0)


def hidden(names: Iterable[str]) -> frozenset[str]:
    """Returns those of Python's types that are hidden in a class which has these names."""
    return HINTS.intersection(names)


def qualified(hint: str, hidden: frozenset[str]) -> str:
    """Returns a hint for a class in which Python's types are `hidden`: `builtins.bytes` beside a member `bytes`."""
    return re.sub(rf"\b({'|'.join(sorted(hidden))})\b", r"builtins.\1", hint) if hidden else hint


def field_hint(field: PyField, hidden: frozenset[str] = frozenset()) -> str:
    """Returns a member or variable in the stub."""
    return line(f"{field.name}: {qualified(field.type.hint, hidden)}", field.comment, 4)


def map_hint(map: PyMap, hidden: frozenset[str] = frozenset()) -> str:
    """Returns a map in the stub."""
    head, hints = f"{map.attribute}: bpfloader.{map.kind}", [qualified(hint, hidden) for hint in map.hints]
    return call(head, hints, map.comment, 4, "[]") if hints else line(head, map.comment, 4)


def item_hint(map: PyMap) -> str:
    """Returns a map in the stub as `bpf["its C name"]` gives it."""
    result = f"bpfloader.{map.kind}" + (f"[{', '.join(map.hints)}]" if map.hints else "")
    name = f"self, name: Literal[{literal(map.name)}]"
    text = f"    def __getitem__({name}) -> {result}: ..."
    return text if len(text) <= WIDTH else f"    def __getitem__(\n        {name}\n    ) -> {_kept(f'{result}: ...')}"


def program_hint(program: PyProgram) -> str:
    """Returns a program in the stub."""
    return line(f"{program.attribute}: bpfloader.{program.kind}", f'SEC("{program.section}")', 4)


def line(code: str, comment: str, indent: int) -> str:
    """Returns a statement with its comment: behind it where there is room, else above it."""
    return _commented(" " * indent + code, comment, indent)


def call(head: str, arguments: list[str], comment: str, indent: int, brackets: str = "()") -> str:
    """Returns a statement that ends in a call (or a subscript) with these arguments, on as many lines as it takes."""
    space, opening, closing = " " * indent, brackets[0], brackets[1]
    text = f"{space}{head}{opening}{', '.join(arguments)}{closing}"
    if len(text) <= WIDTH or len(space + head) >= WIDTH:
        return _commented(text, comment, indent)
    inner = f"{space}    {', '.join(arguments)}"
    if len(inner) > WIDTH or brackets == "[]":
        inner = "\n".join(f"{space}    {argument}," for argument in arguments)
    return _comment_above(comment, indent) + f"{space}{head}{opening}\n{inner}\n{space}{closing}"


def _commented(text: str, comment: str, indent: int) -> str:
    if not comment:
        return _kept(text)
    beside = f"{text}  # {comment}"
    return beside if len(beside) <= WIDTH else _comment_above(comment, indent) + _kept(text)


def _comment_above(comment: str, indent: int) -> str:
    text = f"{' ' * indent}# {comment}"
    return (text if len(text) <= WIDTH else f"{text[: WIDTH - 4]} ...") + "\n"


def _kept(text: str) -> str:
    """Returns a line that no formatter can shorten as it stands: names of C may be long."""
    return text if len(text) <= WIDTH else f"{text}  # fmt: skip"


def link_hint(part: PyProgram | PyMap) -> str:
    """Returns, for the stub, the link of a program, or of a struct_ops map."""
    return line(f"{part.attribute}: bpfloader.{LINKS.get(part.kind, 'Link')} | None", "", 4)


def init_hint(made: PyClass) -> str:
    """Returns the constructor of a struct or union in a stub; what it isn't given is zero."""
    off = hidden(made.names)
    given = [f"{field.name}: {qualified(field.type.hint, off)} = ..." for field in made.fields]
    promoted = [f"{field.name}: {qualified(field.type.hint, off)} = ..." for field in made.promoted]
    if made.kind == "union":
        given = [f"_bytes: {qualified('bytes', off)} = ...", "/", "*", *given]
    elif made.sizes:  # each arch has its own order
        given = ["*", *given, *promoted]
    elif promoted:
        given += ["*", *promoted]
    one = f"    def __init__(self, {', '.join(given)}) -> None: ..."
    two = f"        self, {', '.join(given)}"
    if len(one) <= WIDTH:
        return one
    if len(two) > WIDTH:
        two = "\n".join(f"        {each}," for each in ["self", *given])
    return f"    def __init__(\n{two}\n    ) -> None: ..."


def stub_imports(parts: MergedDeclarations) -> list[str]:
    """Returns the imports of a stub from the standard library, for its hints and constants, each a line."""
    fields = [field for block in (*parts.classes, *parts.sections) for field in block.merged.fields]
    hints = " ".join([field.type.hint for field in fields] + [hint for map in parts.maps.merged for hint in map.hints])
    addresses = [name for name in ("IPv4Address", "IPv6Address") if name in hints]
    typing = ["Final"] if any(block.merged.constants for block in parts.enums) else []
    typing += ["Literal", "overload"] if parts.maps.merged else []
    named = [(module, names) for module, names in (("ipaddress", addresses), ("typing", typing)) if names]
    return [
        *(["import builtins"] if _needs_builtins(parts) else []),
        *(f"from {module} import {', '.join(names)}" for module, names in named),
    ]


def _needs_builtins(parts: MergedDeclarations) -> bool:
    """Returns True if one of a stub's classes has a member called as a type that another one's hint names."""
    found: list[tuple[frozenset[str], list[str]]] = []
    for block in parts.classes:
        hints = [field.type.hint for field in (*block.merged.fields, *block.merged.promoted)]
        found.append((hidden(block.merged.names), [*hints, *(["bytes"] if block.merged.kind == "union" else [])]))
    found += [
        (hidden(block.merged.names), [field.type.hint for field in block.merged.fields]) for block in parts.sections
    ]
    maps = parts.maps.merged
    found.append((hidden(map.attribute for map in maps), [hint for map in maps for hint in map.hints]))
    return any(qualified(hint, names) != hint for names, hints in found for hint in hints)
