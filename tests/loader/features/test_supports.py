"""`supports` and `attach_kind` answer as attaching such a program then does."""

import os
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest
from bpfloader.features.attach import attach_kinds
from probing import run_python


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_every_kind_is_answered_with_a_reason_and_a_version(kernel):
    before = descriptors()
    for kind in attach_kinds():
        said = bpfloader.attach_kind(kind)
        assert said.name == kind and said.since[0].isdigit()
        assert bool(said.reason) == (said.ok is not True), said
        assert "\n" not in said.reason and bpfloader.supports(kind) is (said.ok is True) is bool(said)
    assert descriptors() == before


def test_an_answer_is_remembered(kernel):
    assert bpfloader.attach_kind("tp_btf/one") is bpfloader.attach_kind("tp_btf/other")


def test_iterators_are_tried_over_their_target(kernel):
    """The kernel may refuse one and take another: program/test_agreement.py attaches one over a map, list_numbers."""
    before = descriptors()
    tasks, none = bpfloader.attach_kind("iter/task"), bpfloader.attach_kind("iter/no_such_thing")
    assert (tasks.name, tasks.ok, none.name, none.ok) == ("iter/task", True, "iter/no_such_thing", False)
    assert none.reason == "this kernel's BTF has no bpf_iter_no_such_thing"
    assert bpfloader.attach_kind("iter").name == "iter" and bpfloader.attach_kind("iter.s/task").name == "iter.s/task"
    for target in ("bpf_map_elem", "bpf_sk_storage_map", "sockmap", "cgroup"):  # these are asked with what they go over
        said = bpfloader.attach_kind(f"iter/{target}")
        assert said.ok or "EPERM" in said.reason or "BTF has no" in said.reason, said
    assert descriptors() == before


def test_a_section_that_nobody_knows_is_named_with_those_near_it():
    with pytest.raises(ValueError, match="no way to attach is called 'fenttry/x'; nearest: fentry"):
        bpfloader.supports("fenttry/x")


def test_features_are_imported_on_first_use():
    done = run_python(Path("/"), """
        import sys, bpfloader
        print([name for name in sys.modules if name.startswith(("bpfloader.features", "bpfloader.kernel.bpf"))])
    """)  # fmt: skip
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("section", ["raw_tp", "tp_btf", "perf_event", "cgroup/connect4", "iter", "uprobe", "xdp"])
def test_without_capabilities_it_cannot_be_told(section, kernel):
    done = run_python(Path("/"), f"""
        import os, socket, bpfloader
        ask = bpfloader.attach_kind  # imports what it needs, while this user may read the interpreter's folders
        os.setresuid(65534, 65534, 65534)
        said = ask({section!r})
        print(said.ok, said.reason)
    """)  # fmt: skip
    assert done.stdout.startswith("None user 65534 lacks CAP_BPF"), done.stderr + done.stdout


def test_another_user_asks_anew(kernel):
    done = run_python(Path("/"), """
        import os, socket, bpfloader
        ask = bpfloader.attach_kind  # imports what it needs, while this user may read the interpreter's folders
        print(ask("raw_tp").ok)
        os.setresuid(65534, 65534, 0)
        print(ask("raw_tp").ok)
    """)  # fmt: skip
    assert done.stdout == "True\nNone\n", done.stderr


def test_a_process_without_standard_input_is_answered_alike(kernel):
    """The kernel would give it the descriptor 0, which to libbpf is none (cilium/ebpf #454)."""
    sections = ("tc", "xdp", "tp_btf", "freplace", "iter/task", "struct_ops", "cgroup/connect4")
    script = f"import bpfloader; print([bool(bpfloader.supports(each)) for each in {sections}])"
    loader = str(Path(bpfloader.__file__).parents[1])

    def answers(redirected):
        words = ["sh", "-c", f'exec "$0" -c "$1" {redirected}', sys.executable, script]
        return subprocess.run(words, env={**os.environ, "PYTHONPATH": loader}, capture_output=True, text=True, check=True).stdout

    assert answers("<&-") == answers("</dev/null")
