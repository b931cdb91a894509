"""The first variant that this kernel takes; and why none does."""

import os

import bpfloader
import pytest
from probing import hits_of


def start(*programs):
    def run(probe):
        probe.select(programs)
        probe.rodata.target_pid = os.getpid()
        probe.load()
        probe.attach()

    return run


def test_autoload_chooses_programs(opened):
    assert not opened.progs.refused.autoload and opened.progs.emit.autoload
    opened.select(["emit"])
    opened.load()
    assert [program.name for program in opened.progs if program.autoload] == ["emit"]
    with pytest.raises(bpfloader.StateError, match="on_enter is not loaded; set its autoload"):
        opened.progs.on_enter.attach()
    with pytest.raises(bpfloader.StateError, match="between open and load"):
        opened.progs.emit.autoload = False


def test_choose_takes_the_first_variant_that_works(skel, kernel):
    variants = {"verifier": start("refused"), "hook": start("nowhere"), "attach": start("on_enter", "unattachable"),
                "raw": start("on_enter"), "never": start("emit")}  # fmt: skip
    choice = bpfloader.choose(skel.Probe.open, variants)
    with choice.object as probe:
        assert choice.variant == "raw" and hits_of(probe) >= 10
        assert {name: type(error).__name__ for name, error in choice.refused.items()} == {
            "verifier": "VerifierError", "hook": "LoadError", "attach": "AttachError"}  # fmt: skip


def test_choose_tells_why_none_works_and_what_to_do(skel, kernel):
    def unmounted(probe):
        raise bpfloader.RefusedError("cgroup v2 is not mounted", fix="mount it")

    variants = {"one": start("refused"), "two": start("nowhere"), "three": unmounted}
    with pytest.raises(bpfloader.VariantsError) as caught:
        bpfloader.choose(skel.Probe.open, variants)
    assert list(caught.value.refused) == ["one", "two", "three"]
    said, one, two, three = str(caught.value).splitlines()
    assert said == "this kernel takes none of the variants one, two, three; choose one alone to see all of its log"
    assert one.startswith("  one: can't load probe.bpf.o: the verifier refuses the program refused (")
    assert "): R" in one and "invalid mem access" in one and one.endswith("bpf_probe_read_user")
    assert two == ("  two: can't load probe.bpf.o: the kernel refuses the program nowhere (ESRCH: No such process): "
                   "this kernel has no such function or tracepoint: no_such_tracepoint")  # fmt: skip
    assert three == "  three: cgroup v2 is not mounted; mount it"


def test_one_variant_alone_shows_its_log_and_that_there_are_others(skel, kernel):
    with pytest.raises(bpfloader.VariantsError) as caught:
        bpfloader.choose(skel.Probe.open, {"hook": start("nowhere")})
    said, hook, *log = str(caught.value).splitlines()
    assert said == "this kernel doesn't take the variant hook"
    assert hook.startswith("  hook: can't load probe.bpf.o: ") and hook.endswith("; use another kind of program")
    assert log and all(line.startswith("    libbpf: ") for line in log)


def test_choose_destroys_what_fails_otherwise(skel, kernel):
    seen = []

    def broken(probe):
        seen.append(probe)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bpfloader.choose(skel.Probe.open, {"one": broken, "two": start("emit")})
    with pytest.raises(bpfloader.StateError):
        seen[0].handle
