"""What a type checker knows of a skeleton's maps, in the code of those who use it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from bpfloader.kernel.map_type import MapType
from ebpfbuild.spec.map import MAP_TYPES
from ebpfbuild.skeleton.maps import MAP_CLASSES
from ebpfbuild.skeleton.skeleton import skeleton

EVERY = Path(__file__).resolve().parents[2] / "testdata" / "skeleton" / "every.bpf.c"
USE = """
import os
import socket
from ipaddress import IPv4Address
from typing import Any

from typing_extensions import assert_type

import bpfloader
from every_skel import EveryKind, PairT, Point, Prefix, Record, TablesByNameInnerValue

with EveryKind.open() as bpf, socket.socket() as sock, open("x") as file:
    maps = bpf.maps
    maps.routes.max_entries, maps.routes.pin_path, maps.known.map_extra = 5, "/sys/fs/bpf/routes", 3
    maps.sockets.reuse(maps.sockets_by_name)
    maps.tables.set_inner(maps.untyped)
    bpf.load()
    maps.calls[0] = bpf.progs.configured
    assert_type(maps.calls[0], int)
    key = maps.routes.key("10.0.0.0/8")
    assert_type(key, Prefix)
    assert_type(maps.routes.lookup(key, bpfloader.LOCK), Point)
    maps.routes.update({Prefix(8, IPv4Address("10.0.0.0")): Point(1, 2)})
    maps.routes.update([(key, Point())], bpfloader.ANY)
    assert_type(maps.routes.batch(), list[tuple[Prefix, Point]])
    assert_type(maps.routes.batch(numpy=True), tuple[Any, Any])
    for found, value in maps.routes.items():
        assert_type((found, value), tuple[Prefix, Point])
    assert_type(maps.last_regs.elements[0].di, int)
    assert_type(maps.last_regs.memory[0], int)
    maps.waiting.push(Point(), replace=True)
    assert_type(maps.waiting.pop(), Point)
    assert_type([each for each in maps.piled], list[int])
    maps.known.add(Point())
    assert Point() in maps.known
    maps.of_socket[sock] = Point()
    assert_type(maps.of_socket[sock.fileno()], Point)
    assert_type(maps.of_task.get(os.getpid()), int | None)
    assert_type(maps.of_file[file], Point)
    assert_type(maps.of_cgroup.get("/sys/fs/cgroup", 0), Point | int)
    maps.sockets[0] = sock
    assert_type(maps.sockets[0], int)
    maps.sockets_by_name[Point()] = sock.fileno()
    maps.listeners[0], maps.xsks[0], maps.groups[0] = sock, sock, "/sys/fs/cgroup"
    assert_type(maps.interfaces[0], int)
    assert_type(maps.processors[0], Point)
    inner = maps.tables.create(max_entries=5)
    assert_type(inner, bpfloader.Hash[Point, int])
    maps.tables[1] = inner
    assert_type(maps.tables[1][Point()], int)
    assert_type(maps.tables.drain(), list[tuple[int, bpfloader.Hash[Point, int]]])
    assert_type(maps.routes.pop(key), Point)
    assert_type(maps.routes.pop(key, None), Point | None)
    assert_type(maps.tables_by_name[PairT()][0], tuple[TablesByNameInnerValue, ...])
    assert_type(maps.rings[0].batch(), list[Point])
    assert_type(maps.tables_of_whatever[0], bpfloader.Map)
    assert_type(maps.stacks.symbols(4), tuple[str, ...])
    assert_type(maps.arena.memory, memoryview)
    assert_type(maps.records.info.id, int)
    assert_type(bpf["routes"], bpfloader.LpmTrie[Prefix, Point])
    assert_type(bpf["records"].event(bytes(8)), Record)
    bpf["records"].open_ring_buffer(lambda ctx, data, size: None)
    name = "routes"
    assert_type(bpf[name], bpfloader.Map)
with EveryKind.maps.routes.open("/sys/fs/bpf/routes") as routes:
    assert_type(routes, bpfloader.LpmTrie[Prefix, Point])
"""
WRONG = """
import bpfloader
from every_skel import EveryKind, Point

with EveryKind.open() as bpf:
    bpf.maps.routes[5] = Point()
    bpf.maps.waiting.push(5)
    len(bpf.maps.waiting)
    bpf.maps.of_socket["x"]
    bpf.maps.tables[0] = "x"
    bpf.maps.tables[0][Point()] = "x"
"""


@pytest.fixture
def mypy(compile_bpf, tmp_path):
    """A function: a user's code -> the lines that mypy --strict has of it, and what it says."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    made = skeleton({"x86_64": compile_bpf(EVERY)}, "every_kind", "every.bpf.o")
    (tmp_path / "every_skel.pyi").write_text(made.stub)

    def run(code: str) -> tuple[list[int], str]:
        (tmp_path / "use.py").write_text(code)
        command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "use.py"]
        loader = str(Path(bpfloader.__file__).parents[1])
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "MYPYPATH": loader}, capture_output=True, text=True)
        errors = [line for line in done.stdout.splitlines() if ": error:" in line]
        return [int(line.split(":")[1]) for line in errors], done.stdout + done.stderr

    return run


def test_what_users_write_passes_mypy(mypy):
    assert mypy(USE) == ([], "")


def test_what_is_wrong_does_not(mypy):
    lines, said = mypy(WRONG)
    assert lines == [6, 7, 8, 9, 10, 11], said


RING = """
#include "mini_bpf.h"
struct seen { int pid; } seen;
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} bare SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
} counters SEC(".maps");
"""


def test_a_ring_whose_records_have_no_type_is_told(compile_bpf):
    objects = {arch: compile_bpf(RING) for arch in ("x86_64", "aarch64")}
    said = "x.bpf.o: ring bare declares no record type, so its records are bytes; add __type(value, struct …);"
    assert skeleton(objects, "x", "x.bpf.o").notices == (said,)
    assert skeleton(objects, "x", "x.bpf.o", {"bare": "struct seen"}).notices == ()


def test_both_packages_know_the_same_types_of_maps():
    assert MAP_TYPES == [each.name.lower() for each in MapType] and [*MapType] == [*range(len(MAP_TYPES))]


def test_each_type_of_map_has_the_same_class_with_and_without_a_skeleton():
    from bpfloader.object import untyped

    tables = (untyped.KEY_VALUE_CLASSES, untyped.VALUE_CLASSES, untyped.UNTYPED_CLASSES, untyped.BUFFER_CLASSES)
    found = {MAP_TYPES[number]: kind.__name__ for table in tables for number, kind in table.items()}
    found |= {MAP_TYPES[MapType.SOCKHASH]: "SockHash", MAP_TYPES[MapType.ARRAY_OF_MAPS]: "ArrayOfMaps",
              MAP_TYPES[MapType.HASH_OF_MAPS]: "HashOfMaps"}  # fmt: skip
    assert found == {name: each.name for name, each in MAP_CLASSES.items()} | {"struct_ops": "StructOpsMap"}
