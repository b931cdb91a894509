"""Proves that an object compiled with a minimized vmlinux.h is the object that the full header gives.

What is compared, from the ELF and BTF themselves, with DWARF stripped from both:

always
    section names, types, flags, alignments, sizes; the bytes of data sections; instructions; relocations; symbols in
    their order; functions and where they start; the source line of every instruction; CO-RE relocations by section,
    offset, kind and path in names; DATASECs by variable, place and size; each map's declaration.
    A type id that clang put into an instruction (TYPE_ID_LOCAL, TYPE_ID_TARGET) is compared as the type it names.

exact
    The type graphs, up to numbering: from the roots (functions, CO-RE relocations, variables, maps, externs) both are
    walked over the same edges, pairs of types must be one to one, and no type may be left over. So everything but
    type ids is the same; CO-RE's access strings are too, index for index.

lean
    Where a pointer's target is reached and nothing looks inside, it may be declared only, mostly in the minimized
    object, but as clang decides by the order in which it meets types, in the full one as well; what lies behind it may
    be missing. The rest is as strict as in `exact`, but for the one-to-one pairing. Must be defined in both: CO-RE's
    types; what pointers of kfuncs and of typed ksyms point to, which libbpf matches with the kernel's; what `kptr`s
    point to. Must have the same layout throughout: variables, what a map's declaration points to (keys, values, a ring
    buffer's records), what pointers of global subprograms and of freplace programs point to, TYPE_ID_LOCAL's and
    TYPE_MATCHES's types, lists' and trees' elements; and whatever else is defined in both objects.

fields
    As lean, and a definition that only CO-RE looks into may lack members, and place those it has elsewhere: each must
    be in the full one by name, with the same type, the same bitfield width and inside the same anonymous unions and
    structs. What CO-RE puts into an instruction for a layout (byte offset, byte size, shifts, type size) is left out of
    the comparison of instructions, because libbpf replaces it by the running kernel's; all other code must be the same,
    so that a size, an offset or a stride that clang computed from an incomplete struct shows. What `lean` lists by name
    must have the same layout here, too.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from ..header import MODES
from .code import Parsed, compare_lines, compare_sections, compare_symbols
from .roots import start_at_containers, start_at_core, start_at_functions, start_at_sections
from .types import TypeComparison

PROVABLE_MODES = MODES[1:]  # all but off, which gives the full header
MAX_DIFFERENCES = 50  # shown; one changed type may show in thousands of places


@dataclass(frozen=True)
class Verdict:
    """A verdict: whether two objects are equal in a mode's sense, and what differs, by name.

    `types` are the structs and unions that the differences concern, sorted: what to keep whole before trying again.
    They are those whose definitions differ, else those that a function whose code differs looks into by CO-RE or names
    in a line of its source. They are a hint: there may be none, or others at fault.
    """

    mode: str
    equal: bool
    differences: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Returns the verdict as one sorted JSON object, ending in a newline; the same verdict gives the same bytes."""
        return json.dumps(self.__dict__, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Verdict":
        """Returns the verdict that `to_json` wrote. Raises ValueError for anything else."""
        fields = json.loads(text)
        try:
            verdict = cls(fields["mode"], fields["equal"], tuple(fields["differences"]), tuple(fields["types"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"is no verdict: {error}") from None
        return verdict


def prove(full: bytes, minimized: bytes, mode: str) -> Verdict:
    """Returns the verdict on an object made with the minimized header, against that made with the full one.

    `mode` is one of PROVABLE_MODES, see above. Raises ElfError and BtfError for an object that can't be read,
    ValueError for another mode.
    """
    if mode not in PROVABLE_MODES:
        raise ValueError(f"{mode!r} is none of {', '.join(PROVABLE_MODES)}")
    ours, theirs = Parsed.parse(full, "full"), Parsed.parse(minimized, "minimized")
    found: dict[str, None] = {}
    concerned: dict[str, None] = {}

    def differ(text: str, name: str) -> None:
        found[text] = concerned[name] = None

    _compare_types(ours, theirs, mode, differ)
    by_types = set(concerned) - {""}
    for rows in (
        compare_sections(ours, theirs, mask_layout=mode == "fields"),
        compare_symbols(ours, theirs),
        compare_lines(ours, theirs),
    ):
        for text, name in rows:
            differ(text, name)
    return _verdict(mode, list(found), by_types or set(concerned) - {""})


def _compare_types(ours: Parsed, theirs: Parsed, mode: str, differ: Callable[[str, str], None]) -> None:
    """Compares the types, before the code in the list of differences: they are mostly why code differs."""
    types = TypeComparison(ours.btf, theirs.btf, mode, differ)
    start_at_sections(ours.btf, theirs.btf, types, differ)
    start_at_functions(ours, theirs, types, differ)
    start_at_core(ours, theirs, types, differ)
    start_at_containers(ours.btf, theirs.btf, types)
    types.run()
    if mode == "exact":
        types.compare_unreached()


def _verdict(mode: str, texts: list[str], types: set[str]) -> Verdict:
    equal = not texts
    if len(texts) > MAX_DIFFERENCES:
        texts = [*texts[:MAX_DIFFERENCES], f"and {len(texts) - MAX_DIFFERENCES} more"]
    return Verdict(mode, equal, tuple(texts), tuple(sorted(types)))
