"""What guests report: read whatever comes, held against the matrix, as text, as JSON, and the verifiers' figures."""

import json
import os
import sys
import zlib

import pytest
from ebpfbuild.boot import figures, qemu, text
from ebpfbuild.boot.as_json import as_json
from ebpfbuild.boot.results import Guest, KernelRun, ProgramRun, State, disagreements, errors_of, programs_of, unexpected
from ebpfbuild.boot.wire import MAX_REPORTS, number_of, reports, text_of
from ebpfbuild.errors import BootError, StoppedError
from ebpfbuild.kernels.problem import Verdict
from hypothesis import example, given, strategies as st

KEYS = st.sampled_from(["kind", "object", "program", "load", "attach", "events", "insns", "error", "traffic", "modules"])
JSON = st.sampled_from([None, True, 0, 1, -1, 1.5, "", "program", "object", "guest", "a", "a" * 9000, [], ["x", 3], {}, 1 << 70])
OBJECTS = [("one.bpf.o", ("a", "b")), ("two.bpf.o", ("a",))]


def line(report, nonce="n", checksum=None) -> bytes:
    data = json.dumps(report).encode()
    return b"@boot %s %08x %s\r\n" % (nonce.encode(), zlib.crc32(data) if checksum is None else checksum, data)


@given(st.binary(), st.lists(st.dictionaries(KEYS, JSON, max_size=6), max_size=4), st.binary())
@example(b"@boot n 0 {", [], b"@boot n " + b"[" * 100_000)
def test_whatever_a_guest_writes_is_read_or_left_out(before, given_reports, after):
    serial = before.replace(b"@", b"") + b"\n" + b"".join(map(line, given_reports)) + after.replace(b"@", b"")
    found = list(reports(serial, "n"))
    assert len(found) == len(given_reports)
    for report in found:
        programs_of([report], OBJECTS), errors_of([report], OBJECTS)
        assert len(text_of(report, "load")) <= 4096 and (number_of(report, "events") or 0) >= 0


@pytest.mark.parametrize("bad", [line({"x": 1}, "other"), line({"x": 1}, checksum=1), line([1]), line({"x": 1})[:-8], line({"x": "a" * 70_000}), b"@boot n 00000000 \n"])
def test_a_line_of_another_or_a_broken_one_counts_for_nothing(bad):
    assert list(reports(bad + b"\n" + line({"y": 2}), "n")) == [{"y": 2}]


def test_a_guest_that_reports_without_end_is_read_up_to_a_limit():
    assert len(list(reports(line({}) * (MAX_REPORTS + 50), "n"))) == MAX_REPORTS


def guest(name="k", stopped="", **changed) -> Guest:
    return Guest(name, "x86_64", "6.1", "6.1.0-50", 4096, True, 12.5, stopped, (), "build/boot/k/serial.log", "tcg")._replace(**changed)


def test_a_program_that_nothing_is_said_of_is_unknown_and_one_that_was_not_asked_for_is_not_believed():
    said = [
        {"kind": "program", "object": 0, "program": "a", "section": "kprobe/x", "load": "", "attach": "", "events": 3, "insns": 7},
        {"kind": "program", "object": 0, "program": "nobody's"}, {"kind": "program", "object": 7, "program": "a"},
        {"kind": "program", "object": True, "program": "a"}, {"kind": "object", "object": 1, "error": "Trace\nValueError: x", "traffic": ["udp: no", 3]},
    ]  # fmt: skip
    rows = programs_of(said, OBJECTS)
    assert [(each.object, each.program, each.state, each.events) for each in rows] == [
        ("one.bpf.o", "a", State.RAN, 3), ("one.bpf.o", "b", State.UNKNOWN, 0), ("two.bpf.o", "a", State.UNKNOWN, 0),
    ]  # fmt: skip
    assert errors_of(said, OBJECTS) == ("two.bpf.o: ValueError: x", "traffic: udp: no")


STATES = {
    "ran": ProgramRun("o", "ran", events=2, insns=10), "quiet": ProgramRun("o", "quiet", insns=10),
    "refused": ProgramRun("o", "refused", load="can't load\n  because"), "unattached": ProgramRun("o", "unattached", attach="no"),
    "targetless": ProgramRun("o", "targetless", attach="a guest has nothing to attach it to"), "lost": ProgramRun("o", "lost", known=False),
}  # fmt: skip


@pytest.mark.parametrize("verdict, differ, news", [
    (Verdict.OK, {"refused", "unattached"}, {"refused", "unattached", "lost"}),
    (Verdict.GUARDED, {"refused", "unattached"}, {"refused", "unattached", "lost"}),
    (Verdict.FAILS, {"ran", "quiet"}, set()),
    (Verdict.UNKNOWN, set(), {"refused", "unattached", "lost"}),
    (None, set(), {"refused", "unattached", "lost"}),
])  # fmt: skip
def test_matrix_and_boot_are_held_against_each_other(verdict, differ, news):
    run = KernelRun(guest(), tuple(STATES.values()))
    offline = {("k", "o", name): verdict for name in STATES} if verdict else {}
    assert {each.run.program for each in disagreements([run], offline)} == differ
    assert {each.program for _, each in unexpected([run], offline)} == news
    cut = KernelRun(guest(stopped="it took longer than 9 s"), run.programs)  # what it didn't come to hasn't failed
    assert {each.program for _, each in unexpected([cut], offline)} == news - {"lost"}


def test_the_table_has_each_program_on_each_kernel_with_what_the_matrix_says():
    runs = [KernelRun(guest(), tuple(STATES.values())), KernelRun(guest("big", page_size=16384, seen="6.12", btf=False, stopped="it took longer than 9 s"), (STATES["ran"],))]
    offline = {("k", "o", "ran"): Verdict.OK, ("k", "o", "refused"): Verdict.OK}
    rows = [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in text.table(runs, offline).splitlines()]
    assert rows == [
        ["x86_64", "k", "big"], ["6.1.0-50", "6.12, 16K pages, no BTF"], ["o"], ["ran", "ran 2, 10 insns [ok]", "ran 2, 10 insns"],
        ["quiet", "attached, 10 insns"], ["refused", "load fails [ok]"], ["unattached", "attach fails"], ["targetless", "loaded"], ["lost", "no result"],
    ]  # fmt: skip
    found = disagreements(runs, offline)
    assert text.disagreeing(found) == "refused on k: the matrix says ok, the boot: load fails"
    assert "refused on k: load fails\n  can't load\n    because\n" in text.failures(runs)
    assert "big:\n  it took longer than 9 s; its serial output: build/boot/k/serial.log" in text.failures(runs)
    assert text.summary(runs, offline, found).endswith("2 ran, 1 attached, 1 loaded, 1 attach fails, 1 load fails, 1 no result; the matrix disagrees on 1")
    assert text.summary(runs, offline, []).endswith("the matrix agrees")
    lost = KernelRun(guest(), (STATES["lost"],))
    assert text.summary([lost], {("k", "o", "lost"): Verdict.OK}, []).endswith(": 1 no result")  # nothing to agree with
    data = as_json(runs, offline, found)
    assert [(row["program"], row["state"], row["matrix"], row["agrees"]) for row in data["kernels"][0]["programs"]][2] == ("refused", "not_loaded", "ok", False)
    assert data["kernels"][1]["stopped"] == "it took longer than 9 s" and data["kernels"][1]["page_size"] == 16384
    json.dumps(data)


def test_what_verifiers_counted_is_told_by_release_and_of_two_guests_of_one_the_one_with_btf_counts():
    ran = ProgramRun("a/one.bpf.o", "p", insns=7)
    programs = ran, ran._replace(object="b/one.bpf.o", insns=8), ran._replace(object="b/two.bpf.o", insns=9), STATES["refused"]
    hidden = KernelRun(guest("hidden", btf=False), (ran._replace(insns=99),))
    silent = KernelRun(guest("old", seen="5.10"), (ran._replace(insns=0),))
    (found,) = figures.measured([KernelRun(guest(), programs), hidden, silent])
    assert (found["format"], found["arch"], found["kernel"]) == (1, "x86_64", "6.1.0-50")
    assert [(row["object"], row["insns"], row["verdict"]) for row in found["programs"]] == [
        ("one.bpf.o of a/one.bpf.o", 7, "loaded"), ("one.bpf.o of b/one.bpf.o", 8, "loaded"), ("two.bpf.o", 9, "loaded"),
    ]  # fmt: skip


@pytest.mark.parametrize("code, seconds, limit, stopped", [
    ("print('x')", 20, 1000, ""),
    ("import sys; sys.exit(3)", 20, 1000, "QEMU ended with 3"),
    ("print('Kernel panic - not syncing: VFS')", 20, 1000, "its kernel panicked: VFS"),
    ("import time; print('x', flush=True); time.sleep(60)", 0.4, 1000, "it took longer than 0.4 s"),
    ("while True: print('x' * 1000)", 20, 5000, "it wrote more than 5000 bytes"),
])  # fmt: skip
def test_a_guest_that_does_not_end_by_itself_is_stopped_and_its_output_kept(tmp_path, code, seconds, limit, stopped):
    log = tmp_path / "k" / "serial.log"
    outcome = qemu.run([sys.executable, "-c", code], log, seconds, limit)
    assert outcome.stopped == stopped and outcome.seconds < 15 and outcome.serial == log.read_bytes() and len(outcome.serial) < 10 * limit + 70_000


@pytest.mark.parametrize("serial, told", [
    (b"[    1.0] ok\n", ""),
    (b"[    1.0] Kernel panic - not syncing\n", "its kernel panicked"),
    (b"[    1.0] Kernel panic - not syncing: Fatal \x1b[31mexception\r\n", r"its kernel panicked: Fatal \x1b[31mexception"),
    (b"[    1.0] RIP: 0010:do_work+0x1f/0x40\r\n[    1.1] RIP: 0033:0x7f00\r\n[    1.2] Kernel panic - not syncing: Fatal exception in interrupt\r\n",
     "its kernel panicked: Fatal exception in interrupt at do_work+0x1f/0x40"),
    (b"[    1.0] pc : bpf_prog_1234_x+0x10/0x20\n[    1.1] lr : y+0x1/0x2\n[    1.2] Kernel panic - not syncing: Oops: Fatal exception\n",
     "its kernel panicked: Oops: Fatal exception at bpf_prog_1234_x+0x10/0x20"),
    (b"[    1.0] epc : do_work+0x10/0x20\n[    1.2] Kernel panic - not syncing: Fatal exception\n",
     "its kernel panicked: Fatal exception at do_work+0x10/0x20"),
    (b"[    1.0] PC is at do_work+0x10/0x20\n[    1.2] Kernel panic - not syncing: Fatal exception\n",
     "its kernel panicked: Fatal exception at do_work+0x10/0x20"),
])  # fmt: skip
def test_a_panic_is_told_with_its_reason_and_the_function_of_the_first_fault(serial, told):
    assert qemu.panic(serial) == told


def test_a_guest_ends_with_the_build_that_is_interrupted(tmp_path):
    code = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"
    log = tmp_path / "log"
    with pytest.raises(StoppedError, match="boot: was interrupted"):
        qemu.run([sys.executable, "-S", "-c", code], log, 600, interrupted=lambda: log.read_bytes().endswith(b"\n"))
    assert not os.path.exists(f"/proc/{int(log.read_bytes())}")


def test_a_cpu_is_spared_what_is_slow_to_emulate_and_is_the_host_s_own_where_it_is_not_emulated(tmp_path):
    for arch, machine in qemu.MACHINES.items():
        emulated, native = (qemu.command(machine, accel, tmp_path, tmp_path, "") for accel in ("tcg", "kvm"))
        if "-cpu" in emulated and arch != "arm":
            at = emulated.index("-cpu") + 1
            assert emulated[at] in ("max,erms=off,fsrm=off", "max,pauth=off") and native[at] == "host"


@pytest.mark.parametrize("first, then, silence, stopped", [
    ("", "", 0.5, "it reported nothing for 0.5 s"),
    ("qemu: warning: no such feature", "", 0.5, "it reported nothing for 0.5 s"),  # QEMU's words are none of the guest's
    ("KVM internal error. Suberror: 1", "", 60, "KVM gave up on it"),
    ("error: kvm run failed Bad address", "", 60, "KVM gave up on it"),
    ("", "", 60, "it took longer than 2 s"),
    ("@boot 1 ", "", 3, "it took longer than 4 s"),
    ("@bo", "ot 1 KVM internal error", 60, "it took longer than 2 s"),  # a program's own word, or a test's
])  # fmt: skip
def test_a_guest_that_reports_nothing_is_not_waited_for_where_kvm_may_not_work(tmp_path, first, then, silence, stopped):
    code = "import sys, time\nfor text in sys.argv[1:]: print(end=text, flush=True)\ntime.sleep(600)"
    words = [sys.executable, "-S", "-c", code, first, then]
    seconds = 4 if silence == 3 else 2
    assert qemu.run(words, tmp_path / "log", seconds, silence=silence, sign=b"@boot 1 ").stopped == stopped


@pytest.mark.parametrize("said, accel, expected", [
    ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", "tcg", 1),
    ("QEMU emulator version 7.2.22", "kvm", 2),
    ("QEMU emulator version 8.0.4", "tcg", 1),
    ("QEMU emulator version 8.1.0", "tcg", 2),
    ("QEMU emulator version 10.0.2 (Debian)", "tcg", 2),
    ("nothing that is known", "tcg", 1),
])  # fmt: skip
def test_an_emulator_that_loses_writes_to_code_gives_a_guest_one_cpu(tmp_path, monkeypatch, said, accel, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    program = tmp_path / "qemu-system-x86_64"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    machine = qemu.Machine(str(program), (), "ttyS0", "qemu-system-x86")
    words = qemu.command(machine, accel, tmp_path / "kernel", tmp_path / "initramfs", "")
    assert words[words.index("-smp") + 1] == str(expected)
    assert qemu.cpus(str(tmp_path / "missing"), "tcg") == 1


def test_a_machine_without_a_qemu_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BootError, match="qemu-system-aarch64 is not installed, and aarch64 needs it; apt install qemu-system-arm"):
        qemu.machine_for("aarch64")
    with pytest.raises(BootError, match="kernels of s390x aren't booted; declare a kernel of x86_64"):
        qemu.machine_for("s390x")
