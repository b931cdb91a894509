"""Lays out a program and the functions that it calls as libbpf does before a load: its instructions are renumbered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..kernel.instructions import CALL, INSN_SIZE, LD_IMM64, PSEUDO_CALL, instructions
from .object import ObjectSpec, ProgramSpec


class FunctionPlace(NamedTuple):
    """The name of the section that holds a function, and its offset in bytes."""

    section: str
    offset: int


def with_subprograms(spec: ObjectSpec, program: ProgramSpec) -> list[ProgramSpec]:
    """Returns a program and all functions that it reaches, in the order of their code in the kernel.

    libbpf appends a function when it first meets it, and goes on with what that one calls (bpf_object__reloc_code in
    src/libbpf.c). So the verifier counts instructions through all of them.
    """
    known = {FunctionPlace(each.section, each.offset): each for each in (*spec.programs, *spec.functions)}
    laid = {FunctionPlace(program.section, program.offset): program}
    waiting = [_referenced(spec, program)]
    while waiting:
        place = next(waiting[-1], None)
        if place is None:
            waiting.pop()
        elif place in known and place not in laid:
            laid[place] = known[place]
            waiting.append(_referenced(spec, known[place]))
    return list(laid.values())


def _referenced(spec: ObjectSpec, caller: ProgramSpec) -> Iterator[FunctionPlace]:
    """Yields where the functions lie that a function calls or takes the address of, in the order of its code."""
    section, symbols = spec.elf.section(caller.section), spec.elf.symbols()
    relocated = dict(spec.elf.relocations(section)) if section else {}
    for each in instructions(caller.code, spec.elf.little):
        if each.code == CALL and each.source == PSEUDO_CALL:
            distance = (each.value + 1) * INSN_SIZE  # of the instruction behind the call, or of the symbol
        elif each.code == LD_IMM64:
            distance = each.value  # bytes behind the symbol
        else:
            continue
        number = relocated.get(caller.offset + each.at * INSN_SIZE)
        if number is None and each.code == CALL:
            yield FunctionPlace(caller.section, caller.offset + each.at * INSN_SIZE + distance)
        elif number is not None and number < len(symbols) and 0 < symbols[number].section < len(spec.elf.sections):
            symbol = symbols[number]
            yield FunctionPlace(spec.elf.sections[symbol.section].name, symbol.value + distance)
