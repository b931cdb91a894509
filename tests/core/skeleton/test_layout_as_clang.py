"""Generated classes against clang: 500 random struct trees, of both byte orders. What clang says of sizes and offsets as
static assertions, what it lays down for an initializer as the bytes that are read."""

import types
from collections.abc import Iterator
from typing import Any

import pytest
from bpfloader.codec.base import Bits
from bpfloader.codec.struct import Struct, Union
from ebpfbuild.spec.object import ObjectSpec
from ebpfbuild.skeleton.skeleton import render
from struct_trees import HEAD, Trees, Value

TARGETS = {"bpfel": "x86_64", "bpfeb": "s390x"}
COUNT = 500
QUIET = ("-Wno-constant-conversion", "-Wno-bitfield-constant-conversion", "-Wno-flexible-array-extensions")


@pytest.fixture(scope="module", params=TARGETS)
def trees(request, compile_bpf) -> tuple[str, str, list[list[Value]], types.ModuleType, dict[str, bytes]]:
    """Target, source, the members' values of each tree, the skeleton, the variables' bytes."""
    target = request.param
    made = Trees(20, target == "bpfel")
    texts, values = zip(*(made.tree(f"tree{number}") for number in range(COUNT)), strict=True)
    source = HEAD + "".join(texts)
    data = compile_bpf(source, target, flags=QUIET)
    skel = types.ModuleType("trees_skel")
    exec(compile(render(data, "program", TARGETS[target], "x.bpf.o"), "trees_skel.py", "exec"), vars(skel))
    variables = {row.name: row.data for section in ObjectSpec.from_bytes(data).data for row in section.variables}
    return target, source, list(values), skel, variables


def found_at(value: Any, path: tuple) -> Any:
    for part in path:
        value = value[part] if isinstance(part, int) else getattr(value, part)
    return value


def test_what_clang_laid_down_is_read_and_written(trees):
    _, source, wanted, skel, variables = trees
    for number, values in enumerate(wanted):
        kind = getattr(skel, f"Tree{number}")
        stored = variables[f"value_tree{number}"] or bytes(kind.codec.size)  # all zero: it lies in .bss
        value = kind.from_bytes(stored)
        wrong = {member.path: (found_at(value, member.path), member.expected) for member in values
                 if found_at(value, member.path) != member.expected}  # fmt: skip
        assert not wrong, (source[source.index(f"struct tree{number} {{") :].split("\n")[:2], wrong)
        assert value.to_bytes() == stored


def places(kind: type, path: str, base: int) -> Iterator[tuple[str, int]]:
    """The C path and the offset of each member that has one, of those in members too."""
    for name, field in kind.codec.fields.items() if issubclass(kind, Struct) else vars(kind).items():
        codec = getattr(field, "codec", None)
        if codec is None or isinstance(codec, Bits) or name == "codec":
            continue
        anonymous = name.startswith("anon")
        if not anonymous:
            yield f"{path}{name}", base + field.offset
        inner = getattr(codec, "kind", None) or (codec.decode if isinstance(codec.decode, type) else None)
        if inner and issubclass(inner, (Struct, Union)):
            yield from places(inner, path if anonymous else f"{path}{name}.", base + field.offset)


def test_clang_agrees_on_every_size_and_offset(trees, compile_bpf):
    target, source, wanted, skel, _ = trees
    asserts = []
    for number in range(len(wanted)):
        kind = getattr(skel, f"Tree{number}")
        asserts.append(f'_Static_assert(sizeof(struct tree{number}) == {kind.codec.size}, "size");')
        asserts += (f'_Static_assert(__builtin_offsetof(struct tree{number}, {path}) == {offset}, "{path}");'
                    for path, offset in places(kind, "", 0))  # fmt: skip
    assert len(asserts) > 5 * COUNT
    compile_bpf(source + "\n".join(asserts) + "\n", target, flags=QUIET)
