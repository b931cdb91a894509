"""Builds many programs for three arches: scons with minimized headers, make and ninja with the full ones.

    .venv/bin/python benchmarks/many.py [programs] [jobs]

Same sources, same compiler, same flags, -j2, objects only. The programs are generated and differ in what they use.
Needs the headers in the cache or MIRROR=. Prints wall and CPU seconds and their ratios, the null builds' too: on a
machine that does other work, CPU seconds tell more.
"""

import json
import shlex
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from build import ROOT, makefile, make_commands, run, scons, timed

ARCHES = "x86_64,aarch64,arm"
TYPES = (
    ("task_struct", "pid"),
    ("task_struct", "tgid"),
    ("file", "f_flags"),
    ("inode", "i_ino"),
    ("sock", "sk_protocol"),
    ("sk_buff", "len"),
    ("net_device", "ifindex"),
    ("dentry", "d_flags"),
    ("mm_struct", "start_code"),
    ("cred", "uid.val"),
    ("vm_area_struct", "vm_start"),
    ("socket", "type"),
    ("super_block", "s_flags"),
    ("nsproxy", "uts_ns"),
    ("tcp_sock", "snd_cwnd"),
    ("sighand_struct", "count.refs.counter"),
    ("page", "flags.f"),
    ("rq", "nr_running"),
    ("user_struct", "uid.val"),
    ("signal_struct", "nr_threads"),
)
PROGRAM = """#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "GPL";

struct record {{
	__u64 value[{slots}];
}};

struct {{
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, {entries});
	__type(key, __u32);
	__type(value, struct record);
}} records SEC(".maps");

SEC("tp_btf/sched_switch")
int program_{number}(__u64 *ctx)
{{
	__u32 key = {number};
	struct record *record = bpf_map_lookup_elem(&records, &key);

	if (!record)
		return 0;
{reads}
	return 0;
}}
"""


def program(number):
    """Returns the text of program `number`: each reads another set of three to six kernel types."""
    chosen = [TYPES[(number * 7 + step * (1 + number % 3)) % len(TYPES)] for step in range(3 + number % 4)]
    reads = [
        f"\trecord->value[{slot}] = (__u64)BPF_CORE_READ((struct {name} *)ctx[{slot}], {member});"
        for slot, (name, member) in enumerate(dict(chosen).items())
    ]
    return PROGRAM.format(number=number, slots=len(TYPES), entries=128 + number, reads="\n".join(reads))


class Spent(NamedTuple):
    """Seconds of a command: wall time, and CPU time of it and its children."""

    wall: float
    cpu: float


def main(programs=100, jobs=2):
    """Prints the table."""
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch)
        write(project, programs)
        ours = [*scons(), f"ARCH={ARCHES}", f"-j{jobs}"]
        run([*ours, "headers"], project)  # all three begin with the headers in place
        seconds = {"scons": spent(ours, project), "scons, null": null(ours, project)}
        commands = json.loads((project / "compile_commands.json").read_text())
        makefile(project, commands)
        ninjafile(project, commands)
        for name, command in {"make": ["make", "-s", f"-j{jobs}"], "ninja": ["ninja", "--quiet", f"-j{jobs}"]}.items():
            if shutil.which(command[0]):
                for target in project.rglob("*.make.o*"):
                    target.unlink()
                seconds |= {name: spent(command, project), f"{name}, null": null(command, project)}
        off = [*ours, "MINIMIZE=off"]
        seconds |= {"scons, off": spent(off, project), "scons, off, null": null(off, project)}
    report(seconds, f"{programs} programs for {ARCHES}, -j{jobs}, seconds")


def report(seconds, title):
    """Prints the seconds and the ratios."""
    print(f"{title:40} {'wall':>7} {'CPU':>7}")
    for name, value in seconds.items():
        print(f"  {name:38} {value.wall:7.2f} {value.cpu:7.2f}")
    ratios = [("scons", name, 0.45) for name in ("make", "ninja") if name in seconds]
    for one, other, goal in [*ratios, ("scons, null", "scons, off, null", 1.15)]:
        wall, cpu = (mine / others for mine, others in zip(seconds[one], seconds[other], strict=True))
        print(f"  {f'{one} / {other}':38} {wall:6.2f}x {cpu:6.2f}x  (at most {goal})")


def spent(command, project):
    """Measures a command that must succeed."""
    return Spent(*timed(command, project))


def null(command, project):
    """Returns the medians of seven null builds."""
    return Spent(*map(statistics.median, zip(*(spent(command, project) for _ in range(7)), strict=True)))


def write(project, programs):
    """Writes the generated project."""
    (project / "src").mkdir()
    for number in range(programs):
        (project / "src" / f"p{number}.bpf.c").write_text(program(number))
    (project / "SConstruct").write_text(
        'SetOption("hash_format", "sha256")\nDefaultEnvironment(tools=[])\n'
        f'env = Environment(tools=["ebpf"], toolpath=[{str(ROOT / "site_scons" / "site_tools")!r}],'
        f" EBPF_TOOLCHAIN={str(ROOT / 'toolchain.toml')!r}, ENV={{}})\n"
        'env.Alias("headers", [env.LibbpfHeaders(), *(env.VmlinuxHeader(arch.name) for arch in env["EBPF_ARCHES"])])\n'
        f'Default([env.BpfObject(f"src/p{{number}}.bpf.c") for number in range({programs})])\n'
    )


def ninjafile(project, commands):
    """Writes a build.ninja of the same compiles."""
    lines = ["rule clang", "  command = $command", "  depfile = $out.d", "  deps = gcc"]
    for (target, arguments), entry in zip(make_commands(project, commands), commands):
        lines += [f"build {target}: clang {entry['file']}", f"  command = {shlex.join(arguments)}"]
    (project / "build.ninja").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
