"""`verify` in a real build: the table, the baseline, and a build that fails where a program got dearer."""

import platform

import pytest
from ebpfbuild.arch import host_arch

SOURCE = """#include <linux/bpf.h>
__attribute__((section("socket"), used)) int p(struct __sk_buff *skb) {
	int sum = 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < ROUNDS; i++) {
		__asm__ volatile("%0 += 1" : "+r"(sum));
	}
	return sum;
}
__attribute__((section("license"), used)) char LICENSE[] = "GPL";
"""


@pytest.fixture
def verified(make_project, kernel):
    """A function: how often the program's loop runs, and words of the command line -> what `scons verify` gave."""
    project = make_project("verified")
    project.declare('env.BpfObject("one", "src/p.bpf.c")\n')

    def run(rounds, *words, arch=host_arch(platform.machine()).name):
        (project.folder / "src/p.bpf.c").write_text(SOURCE.replace("ROUNDS", str(rounds)))
        return project.scons(f"ARCH={arch}", "verify", *words)

    run.folder = project.folder
    return run


@pytest.mark.slow
def test_a_program_that_got_dearer_fails_the_build(verified):
    shown = verified(10)  # there is no baseline to hold it against
    assert shown.returncode == 0, shown.stderr
    assert "1 of 1 programs load on Linux" in shown.stdout and "baseline" not in shown.stdout
    assert verified(10, "--record").returncode == 0
    line = (verified.folder / "verifier-figures.txt").read_text().splitlines()[-1].split("\t")
    assert line[:5] == ["one.bpf.o", "p", host_arch(platform.machine()).name, platform.release(), "loaded"]
    insns = int(line[5])
    assert insns > 20
    same = verified(10)
    assert same.returncode == 0 and "0 of 1 programs differ" in same.stdout
    dearer = verified(20)
    assert dearer.returncode == 2 and f"p got dearer: insns {insns} -> " in dearer.stdout
    assert "accept it by `verify --record` and commit verifier-figures.txt" in dearer.stderr
    assert "src/p.bpf.c:5: for (int i = 0; i < 20; i++) {" in dearer.stdout
    assert verified(20, "VERIFY_LIMIT=300%").returncode == 0
    wrong = verified(20, "VERIFY_LIMIT=much")
    assert wrong.returncode == 2 and "VERIFY_LIMIT=much: is no limit; give percents, such as 20%" in wrong.stderr
    assert "accept it" not in wrong.stderr


def test_objects_of_other_machines_are_not_for_this_one(verified):
    other = "riscv64" if host_arch(platform.machine()).name != "riscv64" else "x86_64"
    done = verified(10, arch=other)
    assert done.returncode == 2 and "verify: no object is for this machine; name its arch: ARCH=" in done.stderr
