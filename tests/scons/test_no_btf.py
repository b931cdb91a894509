"""A program of which clang leaves nothing, and so no BTF: it builds in every mode and is proven."""

import pytest


@pytest.mark.parametrize("mode", ["off", "exact", "lean", "fields"])
@pytest.mark.usefixtures("one_program")
def test_a_program_without_btf_builds_and_is_proven(project, mode):
    source = project.folder / "src/one.bpf.c"
    source.write_text('#include "vmlinux.h"\nstatic inline int unused_(struct task_struct *t) { return t->pid; }\n')
    made = project.build("ARCH=x86_64", f"MINIMIZE={mode}", "PROVE=1")
    assert "x86_64/one.bpf.o" in made
    done = project.scons("ARCH=x86_64", f"MINIMIZE={mode}", "prove")
    assert done.returncode == 0, done.stdout + done.stderr
