"""The way back from a mode that doesn't hold, step by step, with made-up compiles and proofs."""

from types import SimpleNamespace

import pytest
from ebpfbuild.errors import CompileError
from ebpfbuild.minimize.fallback import MAX_FIELDS_ROUNDS, settle


class World:
    """Compiles and proofs that fail as told: `refuses(mode, keep)` gives diagnostics, `differs(mode, keep)` types."""

    def __init__(self, refuses=lambda mode, keep: "", differs=lambda mode, keep: None):
        self.refuses, self.differs = refuses, differs
        self.tried, self.told = [], []

    def minimized(self, mode, keep):
        self.tried.append((mode, *sorted(keep)))
        return SimpleNamespace(mode=mode, keep=keep)

    def compile(self, header):
        text = self.refuses(header.mode, header.keep)
        if text:
            raise CompileError("clang refused p.bpf.c", details=tuple(text.splitlines()))
        return repr((header.mode, *sorted(header.keep))).encode()

    def prove(self, made, mode):
        types = self.differs(mode, frozenset(eval(made)[1:]))
        return SimpleNamespace(equal=types is None, differences=("size 8 != 4",), types=tuple(types or ()))

    def settle(self, mode, proven=True):
        return settle(mode, self.minimized, self.compile, self.prove if proven else None, self.told.append)


@pytest.mark.parametrize("mode", ["fields", "lean", "exact", "off"])
def test_a_mode_that_holds_is_kept_in_silence(mode):
    world = World()
    settled = world.settle(mode)
    assert settled.minimized.mode == mode and world.tried == [(mode,)]
    assert world.told == [] and settled.notices == () and settled.kept_whole == ()


def test_types_are_kept_whole_one_proof_after_the_other():
    world = World(differs=lambda mode, keep: None if len(keep) == 2 else ("a",) if not keep else ("b", "a"))
    settled = world.settle("fields")
    assert world.tried == [("fields",), ("fields", "a"), ("fields", "a", "b")]
    assert settled.kept_whole == ("a", "b") and settled.minimized.mode == "fields"
    assert "keeping a whole: size 8 != 4" in world.told[0] and "keeping b whole" in world.told[1]


def test_a_diagnostic_names_the_type_to_keep():
    said = "p.bpf.c:3:5: error: no member named 'x' in 'struct eth'\np.bpf.c:1: note: 'struct other' is here"
    world = World(refuses=lambda mode, keep: said if mode == "fields" and "eth" not in keep else "")
    assert "eth" in world.settle("fields").kept_whole and "other" not in world.settle("fields").kept_whole


@pytest.mark.parametrize(
    "start, tried", [("fields", ["fields", "lean", "exact"]), ("lean", ["lean", "exact"]), ("exact", ["exact"])]
)
def test_a_difference_without_a_type_leads_to_the_next_mode(start, tried):
    world = World(differs=lambda mode, keep: None if mode == "off" else ())
    settled = world.settle(start)
    assert [step[0] for step in world.tried] == [*tried, "off"]
    assert settled.minimized.mode == "off" and "bug of the minimizer" in world.told[-1]


def test_an_endless_row_of_differences_ends():
    world = World(differs=lambda mode, keep: (f"t{len(keep)}",) if mode == "fields" else None)
    assert world.settle("fields").minimized.mode == "lean" and len(world.tried) == MAX_FIELDS_ROUNDS + 1


def test_without_a_proof_a_compile_is_enough():
    world = World(differs=lambda mode, keep: ())
    assert world.settle("exact", proven=False).minimized.mode == "exact"


def test_fields_is_never_used_unproven():
    with pytest.raises(ValueError):
        World().settle("fields", proven=False)


def test_a_program_that_no_header_compiles_is_the_programs_fault():
    world = World(refuses=lambda mode, keep: "p.bpf.c:1:1: error: unknown type name 'u99'")
    with pytest.raises(CompileError, match="clang refused p.bpf.c"):
        world.settle("lean", proven=False)
    assert world.told == [] and [step[0] for step in world.tried] == ["lean", "off"]
