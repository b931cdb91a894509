"""`bpfloader.probe()` and `python -m bpfloader probe` on this kernel."""

import contextlib
import ctypes
import errno
import json
import shlex
import shutil
import signal
import subprocess
import sys

import bpfloader
import pytest
from bpfloader.features import attach as attach_features, report as feature_report
from bpfloader.kernel import bpf as rawbpf, syscall
from bpfloader.__main__ import main
from bpfloader.kernel.versions import helpers, version_of
from bpfloader.features.text import MARKS
from probing import LOADER


def cli(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bpfloader", *arguments]
    return subprocess.run(command, cwd=LOADER, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def report(kernel):
    return bpfloader.probe()


def test_types_that_each_kernel_with_btf_has(report):
    assert all(report.program_types[name].ok for name in ("socket_filter", "xdp", "raw_tracepoint", "cgroup_sock_addr"))
    assert all(report.map_types[name].ok for name in ("hash", "array", "ringbuf", "array_of_maps", "stack_trace"))
    assert report.program_types["xdp"].number == 6 and report.map_types["ringbuf"].since == "5.8"
    assert report.attach["raw_tp"] is bpfloader.attach_kind("raw_tp")
    assert report.environment.btf and "CAP_SYS_ADMIN" in report.environment.capabilities


def test_types_of_a_later_kernel_name_its_version(report):
    kernel = version_of(report.kernel)
    newer = [said for said in report.map_types.values() if version_of(said.since) > kernel]
    assert all(said.ok is False and f"came with Linux {said.since}" in said.reason for said in newer)
    if kernel < (6, 19):
        assert "insn_array" in {said.name for said in newer}


def test_helpers_are_those_that_the_verifier_lets_a_type_call(report):
    of = report.helpers
    assert "bpf_map_lookup_elem" in of["kprobe"] and "bpf_redirect" not in of["kprobe"]
    assert "bpf_xdp_adjust_head" in of["xdp"]
    assert "bpf_skb_store_bytes" in of["sched_cls"] and "bpf_skb_store_bytes" not in of["socket_filter"]
    assert "bpf_seq_printf" in of["tracing"] and "bpf_bind" in of["cgroup_sock_addr"]
    every = {f"bpf_{helper.name}" for helper in helpers()}
    assert all(set(found) < every for found in of.values())


def of_the_kernel(said: dict) -> dict:
    """Keeps the kernel's own answers: another test may mount a file system, or raise a limit, in between."""
    return {key: value for key, value in said.items() if key != "environment"}


def test_the_json_is_sorted_and_the_kernel_says_the_same_twice(report):
    done = cli("probe", "--json")
    assert done.returncode == 0 and done.stderr == ""
    said = json.loads(done.stdout)
    assert done.stdout == json.dumps(said, indent=1, sort_keys=True) + "\n"
    assert set(said) == set("attach format helpers kernel libbpf machine map_types program_types environment".split())
    assert said["format"] == 1 and of_the_kernel(said) == of_the_kernel(json.loads(json.dumps(report.as_dict())))


def test_table_and_json_say_all_of_one_report(report, monkeypatch, capsys):
    monkeypatch.setattr(feature_report, "Report", lambda: report)
    assert main(["probe", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(report.as_dict()))
    assert main(["probe"]) == 0
    table = capsys.readouterr().out
    rows = {tuple(line.split()[:2]) for line in table.splitlines() if line.startswith("  ")}
    for part in (report.attach, report.program_types, report.map_types):
        assert {(name, MARKS[said.ok]) for name, said in part.items()} <= rows
    assert f"libbpf {bpfloader.version()}" in table.splitlines()[0]


def ticking(interval: float):
    """Signals that come again and again, as those of a profiler's timer do; counts them."""
    came = [0]

    @contextlib.contextmanager
    def under():
        def count(number, frame):
            came[0] += 1

        before = signal.signal(signal.SIGALRM, count)
        signal.setitimer(signal.ITIMER_REAL, interval, interval)
        try:
            yield came
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return under()


def test_signals_change_no_answer(report, monkeypatch):
    """The kernel gives up with EAGAIN as a signal comes, which says nothing of what it can do."""
    quiet = of_the_kernel(report.as_dict())
    monkeypatch.setattr(attach_features, "_answers", {})
    with ticking(5e-4) as came:
        busy = of_the_kernel(bpfloader.probe().as_dict())
    assert came[0] > 50 and busy == quiet


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EINTR, errno.ENOMEM, errno.EMFILE])
def test_transient_errors_are_no_answer(report, monkeypatch, number):
    """Neither "no" nor remembered; a list of helpers isn't given without some of them."""
    assert report.map_types["hash"].ok

    def refused(command, attributes):
        raise OSError(number, "")

    monkeypatch.setattr(attach_features, "_answers", {})
    with monkeypatch.context() as moment:
        moment.setattr(rawbpf, "bpf", refused)
        asked = bpfloader.attach_kind("raw_tp"), feature_report.map_type_support("hash"), bpfloader.probe().program_types["xdp"]
    for said in asked:
        assert said.ok is None and f"the kernel could not answer now ({errno.errorcode[number]}: " in said.reason
    assert bpfloader.attach_kind("raw_tp").ok and feature_report.map_type_support("hash").ok
    load, calls = rawbpf.load_program, []

    def sometimes(code, what, log=None):
        calls.append(code)
        return refused(0, b"") if len(calls) == 100 else load(code, what, log)

    types = {"kprobe": report.program_types["kprobe"], "xdp": report.program_types["xdp"]}
    again = feature_report.Report()
    again.__dict__["program_types"] = types
    monkeypatch.setattr(rawbpf, "load_program", sometimes)
    assert again.helpers == {"xdp": report.helpers["xdp"]}


def test_a_call_that_signals_interrupt_is_made_again(monkeypatch):
    answers = [errno.EAGAIN] * 20 + [errno.EINTR]

    class Libc:
        @staticmethod
        def syscall(*_):
            ctypes.set_errno(answers.pop() if answers else 0)
            return -1 if ctypes.get_errno() else 7

    monkeypatch.setattr(syscall, "_libc", Libc)
    assert rawbpf.bpf(rawbpf.MAP_CREATE, b"") == 7
    answers = [errno.EAGAIN] * 1000
    with pytest.raises(BlockingIOError):
        rawbpf.bpf(rawbpf.MAP_CREATE, b"")
    assert 800 < len(answers) < 1000


def test_one_kind_answers_by_its_exit_status(kernel):
    done = cli("probe", "raw_tp", "perf_event")
    assert done.returncode == 0 and done.stdout.split() == "raw_tp yes 4.17 perf_event yes 4.9".split()
    said = {name: bpfloader.attach_kind(name) for name in ("fentry", "kprobe", "lsm", "netkit/peer")}
    done = cli("probe", "--json", *said)
    assert done.returncode == (0 if all(said.values()) else 1)
    assert {name: each["ok"] for name, each in json.loads(done.stdout).items()} == {n: s.ok for n, s in said.items()}


def test_a_kind_that_is_none_is_one_line():
    done = cli("probe", "kprob")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bpfloader: no way to attach is called 'kprob'; nearest: kprobe, uprobe, kretprobe\n"


def test_a_process_without_capabilities_gets_the_reason(kernel):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed (apt install util-linux)")
    command = ["setpriv", "--bounding-set", "-all", sys.executable, "-m", "bpfloader", "probe", "--json"]
    done = subprocess.run(command, cwd=LOADER, capture_output=True, text=True)
    said = json.loads(done.stdout)
    assert said["environment"]["capabilities"] == [] and done.stderr == ""
    assert not any(each["ok"] for part in ("attach", "program_types") for each in said[part].values())
    reasons = {each["reason"] for each in said["attach"].values() if each["ok"] is None}
    assert reasons and all(reason.startswith("user 0 lacks CAP_") for reason in reasons), reasons


def test_a_reader_that_goes_away_is_no_error(kernel):
    command = f"{shlex.quote(sys.executable)} -m bpfloader probe | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=LOADER, capture_output=True, text=True)
    assert done.stdout.startswith("Linux ") and done.stderr == ""
