"""What `bpfloader.probe()` says of this kernel, and `python -m bpfloader probe`."""

import json
import shutil
import subprocess
import sys

import bpfloader
import pytest
from bpfloader.features import helpers, version_of
from probing import LOADER


def cli(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bpfloader", *arguments]
    return subprocess.run(command, cwd=LOADER, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def report(kernel):
    return bpfloader.probe()


def test_what_each_kernel_with_btf_has(report):
    assert all(report.program_types[name].ok for name in ("socket_filter", "xdp", "raw_tracepoint", "cgroup_sock_addr"))
    assert all(report.map_types[name].ok for name in ("hash", "array", "ringbuf", "array_of_maps", "stack_trace"))
    assert report.program_types["xdp"].number == 6 and report.map_types["ringbuf"].since == "5.8"
    assert report.attach["raw_tp"] is bpfloader.attach_kind("raw_tp")
    assert report.environment.btf and "CAP_SYS_ADMIN" in report.environment.capabilities


def test_what_a_kernel_is_too_old_for_is_said_so(report):
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


def test_the_json_is_sorted_and_says_the_same(report):
    done = cli("probe", "--json")
    assert done.returncode == 0 and done.stderr == ""
    said = json.loads(done.stdout)
    assert done.stdout == json.dumps(said, indent=1, sort_keys=True) + "\n"
    assert set(said) == set("attach format helpers kernel libbpf machine map_types program_types environment".split())
    assert said["format"] == 1 and said == json.loads(json.dumps(report.as_dict()))


def test_the_table_has_a_line_for_each(report):
    done = cli("probe")
    assert done.returncode == 0 and done.stderr == ""
    first = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {*report.attach, *report.program_types, *report.map_types} <= first
    assert f"libbpf {bpfloader.version()}" in done.stdout.splitlines()[0]


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


def test_who_may_not_ask_is_told_so(kernel):
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
    command = f"{sys.executable} -m bpfloader probe | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=LOADER, capture_output=True, text=True)
    assert done.stdout.startswith("Linux ") and done.stderr == ""
