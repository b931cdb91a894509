"""What docs/from-libbpf.md says to write instead of libbpf-rs's and cilium/ebpf's calls, run on real objects."""

import importlib.util
import os
import re
import sys
from pathlib import Path

import bpfloader
import pytest
from bpfloader.btf.path import KERNEL_BTF
from compiling import compile_text, skeleton_text

PAGE = Path(__file__).resolve().parents[3] / "docs" / "from-libbpf.md"
ROWS = [line.strip("|").split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
CODES = list(dict.fromkeys(code for row in ROWS[1:] for code in re.findall(r"`([^`]+)`", row[-1]) if "." in code))

PROGRAM = """
#include "mini_bpf.h"
#define MAP(name, kind, entries) struct { __uint(type, kind); __uint(max_entries, entries); \\
    __type(key, __u32); __type(value, __u64); } name SEC(".maps")
#define RING(name) struct { __u64 (*type)[BPF_MAP_TYPE_RINGBUF]; __uint(max_entries, 4096); } name SEC(".maps")

MAP(m, BPF_MAP_TYPE_HASH, 16);
MAP(percpu, 6, 1);
RING(events);
RING(a);
RING(b);
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
struct { __u64 (*type)[31]; __uint(max_entries, 4096); } commands SEC(".maps");

const volatile __u32 v;
__u64 count;
static long (*bpf_ringbuf_output)(void *ringbuf, void *data, __u64 size, __u64 flags) = (void *)130;
struct bpf_iter_meta { void *seq; } __attribute__((preserve_access_index));
struct bpf_iter__task { struct bpf_iter_meta *meta; } __attribute__((preserve_access_index));
static long (*bpf_seq_write)(void *seq, const void *data, __u32 len) = (void *)127;

#define NOTHING(section, name, verdict) SEC(section) int name(void *ctx) { count++; return verdict; }
NOTHING("?xdp", on_xdp, 2)
NOTHING("?xdp", on_xdp_next, 1)
NOTHING("?tc", on_tc, 0)
NOTHING("?kprobe", on_kprobe, 0)
NOTHING("?uprobe", on_uprobe, 0)
NOTHING("?cgroup/sock_create", on_cgroup, 1)
NOTHING("?fentry", on_fentry, 0)
NOTHING("?raw_tp/sys_enter", on_call, 0)
SEC("?iter/task") int on_task(struct bpf_iter__task *ctx) { bpf_seq_write(ctx->meta->seq, "x", 1); return 0; }
SEC("?tc") int send(void *ctx)
{
    __u64 number = count++;
    return bpf_ringbuf_output(&events, &number, 8, 0) + bpf_ringbuf_output(&a, &number, 8, 0) +
           bpf_ringbuf_output(&b, &number, 8, 0);
}
char LICENSE[] SEC("license") = "GPL";
"""
# Each line's program, if it isn't on_call; "opened" for what comes before load.
OPENED = (
    "bpf.rodata.v", "max_entries", "autoload", "select", "bpf.load()", "set_attach_target", "attach(pin=", "reuse(",
)  # fmt: skip
PROGRAMS = {
    '"eth0", mode=': "on_xdp", '"eth0", "ingress"': "on_tc", "at_return": "on_kprobe", '"readline"': "on_uprobe",
    '"/sys/fs/cgroup/app"': "on_cgroup", "set_attach_target": "on_fentry", ".read()": "on_task", "test_run": "on_xdp",
    "events": "send", "bpf.maps.a": "send", "link.": "on_xdp",
}  # fmt: skip
# What this test has in the place of what a reader has.
HERE = {
    '"eth0", mode="native"': '"lo", mode="generic"', '"eth0"': '"lo"', '"/bin/bash", "readline", pid=42': "libc, 'getppid', pid=mine",
    '"/sys/fs/cgroup/app"': "cgroup", '["g"]': '["on_call"]', "open_link(path)": "open_link(link_path)", "btf=path": "btf=KERNEL_BTF",
    "open_map(path)": "open_map(map_path)", "reuse(path)": "reuse(map_path)", "events.size": "perf.size", "events.lost": "perf.lost",
    "sum(bpf.maps.m[key])": "sum(bpf.maps.percpu[0])", "bss.v": "bss.count",
}  # fmt: skip


@pytest.fixture(scope="module")
def Rows(clang, libbpf, tmp_path_factory):  # noqa: N802  a class
    folder = tmp_path_factory.mktemp("rows")
    data = compile_text(clang, PROGRAM)
    (folder / "rows.bpf.o").write_bytes(data)
    (folder / "rows_skel.py").write_text(skeleton_text(data, "rows"))
    spec = importlib.util.spec_from_file_location("rows_skel", folder / "rows_skel.py")
    made = sys.modules["rows_skel"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made.Rows


def first_of(table: dict[str, str], code: str, otherwise: str) -> str:
    return next((name for part, name in table.items() if part in code), otherwise)


def prepared(Rows, code: str, bpffs) -> tuple[bpfloader.Object, str]:  # noqa: N803
    """An object in the state and with the program that a line wants, and the line as it runs here."""
    bpf, program = Rows.open(), first_of(PROGRAMS, code, "on_call")
    for here, there in HERE.items():
        code = code.replace(here, there)
    code = code.replace("progs.f", f"progs.{program}")
    bpf.select([program])
    if not any(part in code for part in OPENED):
        bpf.load()
        bpf.maps.m[1] = 2
    return bpf, code


@pytest.mark.parametrize("code", CODES)
def test_a_line_runs_as_it_stands(Rows, kernel, bpffs, own_network, cgroup, code):  # noqa: N803
    place = Path(cgroup, f"rows{os.getpid()}")
    place.mkdir()
    try:
        own_network(lambda: run(Rows, code, bpffs, place))
    except bpfloader.RefusedError as refused:
        if "kprobe" not in str(refused):
            raise
        pytest.skip(str(refused).splitlines()[0])
    finally:
        place.rmdir()


def run(Rows, code: str, bpffs, cgroup: Path) -> None:  # noqa: N803
    bpf, line = prepared(Rows, code, bpffs)
    with Rows.open() as other, bpf:
        other.select(["on_call", "on_xdp", "on_xdp_next", "send"])
        other.load()
        other.maps.m.pin(bpffs / "map")
        other.progs.on_call.attach().pin(bpffs / "link")
        names = {
            "bpf": bpf, "X": Rows, "bpfloader": bpfloader, "n": 4096 if "ring" in line else 64, "key": 3 if "NOEXIST" in line else 1, "value": 2,
            "packet": bytes(64), "record": 5, "callback": [].append, "path": bpffs / "new", "folder": str(bpffs / "folder"),
            "map_path": bpffs / "map", "link_path": bpffs / "link", "id": other.maps.m.id, "mine": os.getpid(),
            "libc": "libc.so.6", "cgroup": str(cgroup), "KERNEL_BTF": KERNEL_BTF, "program": other.progs.on_xdp_next,
            "link": other.progs.on_xdp.attach("lo", mode="generic") if line.startswith("link.") else None,
        }  # fmt: skip
        if line.startswith("for event in"):
            line, expected = f"{line}: break", "event"
            bpf.progs.send.test_run(bytes(64))
        elif line.startswith("with "):
            line, expected = f"{line}: pass", ""
        elif re.match(r"[\w.]+ = ", line):
            expected = ""
        else:
            line, expected = f"result = {line}", "result"
        exec(line, names)
        if expected == "event":
            assert names["event"] == 0
        result = names.get("result")
        for end in ("destroy", "close"):  # what the line has opened
            if result not in (None, bpf) and hasattr(result, end) and end in dir(type(result)):
                getattr(result, end)()
                break


def test_all_lines_of_the_page_are_run():
    assert len(CODES) > 40
