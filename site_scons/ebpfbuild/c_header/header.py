"""Writes all of a kernel's types as a header that compiles, as `bpftool btf dump file … format c` does."""

from ..btf.reader import Btf
from ..btf.types import Kind
from .layout import Layout
from .order import Order
from .tables import Tables
from .text import Text

# Declaration tags of functions that programs may call, and of those that keep registers; pahole 1.26, Linux 6.9.
KFUNC_TAG, FASTCALL_TAG = "bpf_kfunc", "bpf_fastcall"

HEAD = """\
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

"""
KFUNCS = """
/* BPF kfuncs */
#ifndef BPF_NO_KFUNC_PROTOTYPES
"""
TAIL = """\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
"""
# gcc's names of its vector elements on Arm, which clang doesn't know (libbpf: missing_base_types).
POLY = {
    "__Poly8_t": "unsigned char",
    "__Poly16_t": "unsigned short",
    "__Poly64_t": "unsigned long long",
    "__Poly128_t": "unsigned __int128",
}


def header_of(btf: Btf) -> str:
    """Returns the vmlinux.h of a kernel's BTF, of a module's with that of its kernel. Raises BtfError."""
    return header_and_names(btf)[0]


def header_and_names(btf: Btf) -> tuple[str, dict[int, str]]:
    """Returns the header, and the names in C of the types that it defines, by number. Raises BtfError."""
    tables = Tables(btf)
    order, text = Order(tables), Text(tables, Layout(tables))
    dump = _Dump(tables, text)
    try:
        for number in range(1, len(tables.kinds)):
            order.add(number)
        for number in order.queue:
            dump.define(number)
    except RecursionError:
        btf.fail("has types that contain one another too deeply for C")
    header = "".join([HEAD, *dump.out, KFUNCS, *_kfuncs(btf, text), "#endif\n\n", TAIL])
    return header, {number: text.name(number) for number in order.queue if tables.names[number]}


class _Dump:
    """The definitions so far; what a definition names is declared before it (libbpf: btf_dump_emit_type)."""

    def __init__(self, tables: Tables, text: Text):
        self._tables, self._text = tables, text
        self.out: list[str] = []
        count = len(tables.kinds)
        self._declared = bytearray(count)  # nothing is to be done before it can be named
        self._defined = bytearray(count)
        self._open = bytearray(count)  # a typedef or a nameless struct whose type is being declared
        self._declared[0] = 1

    def define(self, number: int) -> None:
        """Writes a definition, and before it the declarations that it needs. Raises BtfError."""
        kind = self._tables.kinds[number]
        if kind in (Kind.STRUCT, Kind.UNION):
            if self._defined[number]:
                return
            for _name, type_, _place in self._tables.rows[number]:
                if not self._declared[type_]:
                    self._declare(type_, number)
            self._write(self._text.composite(number))
            self._defined[number] = self._declared[number] = 1
        elif kind in (Kind.ENUM, Kind.ENUM64):
            if not self._declared[number]:
                self._write(self._text.enum(number))
                self._declared[number] = 1
        else:
            self._declare(number, 0)

    def _write(self, text: str) -> None:
        if text:
            self.out += text, ";\n\n"

    def _declare(self, number: int, within: int) -> None:
        """Writes what must stand before a declaration that mentions a type; `within` is what is being defined."""
        if not self._declared[number]:
            done = _DECLARE[self._tables.kinds[number]](self, number, within)
            self._declared[number] |= done

    def _leaf(self, number: int, within: int) -> bool:
        return True

    def _integer(self, number: int, within: int) -> bool:
        if alias := POLY.get(self._tables.names[number]):
            self._write(f"typedef {alias} {self._tables.names[number]}")
        return True

    def _through(self, number: int, within: int) -> bool:
        target = self._tables.targets[number]
        self._declare(target, within)
        return bool(self._declared[target])

    def _forward(self, number: int, within: int) -> bool:
        self._write(self._text.forward(number))
        return True

    def _composite(self, number: int, within: int) -> bool:
        if self._tables.names[number]:
            if number == within:  # a struct may point to itself
                return False
            self._write(self._text.forward(number))
            return True
        if self._open[number]:
            return False
        self._open[number] = 1
        done = self._rows(number, within)
        self._open[number] = 0
        return done

    def _rows(self, number: int, within: int) -> bool:
        done = True
        for _name, type_, _place in self._tables.rows[number]:
            if not self._declared[type_]:
                self._declare(type_, within)
                done = done and bool(self._declared[type_])
        return done

    def _prototype(self, number: int, within: int) -> bool:
        done = self._through(number, within)
        return self._rows(number, within) and done

    def _typedef(self, number: int, within: int) -> bool:
        if not self._open[number]:
            self._open[number] = 1
            self._declare(self._tables.targets[number], number)
            self._open[number] = 0
        if not self._declared[number]:  # it may have been written meanwhile: what it leads to mentions it
            self._write(self._text.typedef(number))
        return True


_DECLARE = {kind: _Dump._leaf for kind in range(128)} | {
    Kind.INT: _Dump._integer,
    Kind.PTR: _Dump._through,
    Kind.ARRAY: _Dump._through,
    Kind.VOLATILE: _Dump._through,
    Kind.CONST: _Dump._through,
    Kind.RESTRICT: _Dump._through,
    Kind.TYPE_TAG: _Dump._through,
    Kind.FWD: _Dump._forward,
    Kind.STRUCT: _Dump._composite,
    Kind.UNION: _Dump._composite,
    Kind.FUNC_PROTO: _Dump._prototype,
    Kind.TYPEDEF: _Dump._typedef,
}


def _kfuncs(btf: Btf, text: Text) -> list[str]:
    """Returns the prototypes of the functions that the kernel offers to programs."""
    found = []
    fast = {tag.type for tag in btf.named(FASTCALL_TAG, Kind.DECL_TAG) if tag.component == -1}
    for tag in btf.named(KFUNC_TAG, Kind.DECL_TAG):
        function = btf[tag.type]
        if tag.component == -1 and function.kind == Kind.FUNC:
            extern = "extern __bpf_fastcall" if function.id in fast else "extern"
            found.append(f"{extern} {text.declaration(function.type, function.name)} __weak __ksym;\n")
    return found
