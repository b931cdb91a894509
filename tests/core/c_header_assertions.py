"""Has clang say whether a header lays out each struct and union as the BTF does that the header was made of.

sizeof and offsetof are asserted statically. A bitfield has no offsetof: clang's own BTF of a variable of each type tells
its place.
"""

import subprocess

from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import COMPOSITES, MODIFIERS, Kind
from ebpfbuild.c_header.header import header_and_names
from ebpfbuild.elf.reader import Elf

FLAGS = ["-target", "bpf", "-DBPF_NO_PRESERVE_ACCESS_INDEX", "-w", "-ferror-limit=0"]


def named_composites(btf, names):
    """Each struct and union that the header defines by a name, with that name in C."""
    for number, name in names.items():
        kind = btf[number]
        if kind.kind in COMPOSITES:
            yield kind, f"{'struct' if kind.kind == Kind.STRUCT else 'union'} {name}"
        elif kind.kind == Kind.TYPEDEF and btf[kind.type].kind in COMPOSITES and not btf[kind.type].name:
            yield btf[kind.type], name


def members(btf, kind, path="", at=0):
    """Each member's path, its offset in bits, and its type, those of structs without a name in it among them."""
    for member in kind.members:
        place = f"{path}.{member.name}" if member.name and path else path or member.name
        if member.bits:
            continue
        if member.name:
            yield place, at + member.bit_offset, member.type
        inner, step = btf.resolve(member.type, MODIFIERS), ""
        while inner.kind == Kind.ARRAY and inner.length:
            inner, step = btf.resolve(inner.type, MODIFIERS), step + "[0]"
        if inner.kind in COMPOSITES and not (inner.name and member.name):
            yield from members(btf, inner, place + step if member.name else path, at + member.bit_offset)


def assertions(btf, names):
    """A line of C for each size and each offset."""
    for kind, name in named_composites(btf, names):
        yield f'_Static_assert(sizeof({name}) == {kind.size}, "sizeof {name}");'
        for path, at, _type in members(btf, kind):
            yield f'_Static_assert(__builtin_offsetof({name}, {path}) == {at // 8}, "{name}.{path}");'


def shape(btf, kind, path="", at=0):
    """The places of all members of a type, bitfields among them, and of those of the nameless structs in it."""
    found = []
    for member in kind.members:
        place, start = f"{path}.{member.name}" if member.name else path, at + member.bit_offset
        if member.name:
            found.append((place, start, member.bits))
        inner = btf.resolve(member.type, (*MODIFIERS, Kind.ARRAY))
        if inner.kind in COMPOSITES and not (inner.name and member.name):
            found += shape(btf, inner, place, start)
    return found


def check(btf: Btf, clang, folder, step=1):
    """The differences between a BTF and the header made of it, and the number of what was compared.

    Of the types with bitfields each `step`-th is compiled: clang takes 2 ms for the BTF of each.
    """
    text, names = header_and_names(btf)
    (folder / "vmlinux.h").write_text(text)
    lines = list(assertions(btf, names))
    wrong = run(clang, folder, lines, "-fsyntax-only")
    with_bits = [(kind, name) for kind, name in named_composites(btf, names) if any(bits for _, _, bits in shape(btf, kind))]
    kinds = with_bits[::step]
    variables = [f"{name} v{place} __attribute__((weak));" for place, (_kind, name) in enumerate(kinds)]
    wrong += run(clang, folder, variables, "-O0", "-g", "-c", "-o", "check.o")
    if kinds and not wrong:
        made = Btf.parse(Elf.parse((folder / "check.o").read_bytes()).section(".BTF").data)
        for place, (kind, name) in enumerate(kinds):
            one, two = shape(btf, kind), shape(made, made.resolve(made.find(f"v{place}", Kind.VAR).type))
            if one != two:
                wrong.append(f"{name}: {next((pair for pair in zip(one, two) if pair[0] != pair[1]), 'members')}")
    return wrong, len(lines) + len(kinds)


def run(clang, folder, lines, *flags):
    """What clang has against lines of C behind the header."""
    (folder / "check.c").write_text("\n".join(['#include "vmlinux.h"', *lines, ""]))
    done = subprocess.run([*clang, *FLAGS, *flags, "check.c"], cwd=folder, capture_output=True, text=True)
    wrong = [line for line in done.stderr.splitlines() if "error:" in line]
    return wrong or ([done.stderr] if done.returncode else [])
