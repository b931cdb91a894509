"""Errors that teach, and the question why: through real scons."""

import pytest


@pytest.mark.parametrize("mode", ["exact", "off"])
def test_a_type_that_this_header_lacks(project, mode):
    project.edit("src/one.bpf.c", "return 0;", "return ((struct task_strukt *)task)->pid;")
    text = project.fails("ARCH=x86_64", f"MINIMIZE={mode}", "one")
    assert "incomplete definition of type 'struct task_strukt'; this header (6.19, x86_64) has no struct task_strukt" in text
    assert "did you mean task_struct?" in text and "___local" in text


def test_a_member_that_this_header_lacks(project):
    project.edit("src/one.bpf.c", "return 0;", "return task->pidd;")
    text = project.fails("ARCH=x86_64", "one")
    assert "no member named 'pidd' in 'struct task_struct'" in text
    assert "this header (6.19, x86_64) has no member pidd in struct task_struct (nearest: pid" in text


def test_a_header_of_the_inside_of_the_kernel(project):
    project.edit("src/one.bpf.c", '#include "shared.h"', '#include "shared.h"\n#include <linux/skbuff.h>')
    assert "no UAPI header in sight is called <linux/skbuff.h>: include vmlinux.h" in project.fails("ARCH=x86_64", "one")


def test_why_a_type_is_kept(project):
    done = project.scons("ARCH=x86_64", "why", "pid_link", "nosuch")
    assert done.returncode == 0, done.stderr
    assert "one (x86_64): pid_link\n  struct task_struct: named by the program as task_struct (src/one.bpf.c:" in done.stdout
    assert "struct pid_link" in done.stdout
    assert "three (x86_64): pid_link\n  struct pid_link is in the full header, but nothing that the program names leads to it" in done.stdout
    assert "nothing called nosuch is kept" in done.stdout
    assert "why explains a type or a member; say which" in project.fails("why")
