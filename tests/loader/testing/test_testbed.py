"""The pytest plugin: each kind that this kernel runs without an event, with typed contexts, verdicts and results."""

import os
import socket
import subprocess
import sys
import threading
from ipaddress import IPv4Address
from pathlib import Path

import bpfloader
import pytest
from bpfloader.testing import BpfSkLookup, SkAction, SkBuff, TcAction, XdpAction, XdpMd
from bpfloader.testing.namespaces import private_namespaces
from compiling import compile_text
from bpfloader.testing.reasons import reason_of, run_reason_of

PACKET = bytes(12) + b"\x08\x00" + b"\x45" + bytes(49)  # Ethernet, the first byte of IPv4


@pytest.fixture(scope="module")
def module(skeleton_module):
    """The generated module of testbed.bpf.c."""
    return skeleton_module("testbed")


@pytest.fixture
def loaded(module, kernel, bpf_testbed):
    """A function: names of programs -> the object with these loaded."""
    return lambda *programs: bpf_testbed.load(module.Testbed, *programs)


def test_a_packet_larger_than_its_room(loaded):
    """The kernel runs the program and says ENOSPC, which is not that it couldn't (cilium/ebpf #1042 guards its own)."""
    program = loaded("on_xdp").progs.on_xdp
    with pytest.raises(bpfloader.CallError) as caught:
        program.test_run(PACKET, room=len(PACKET))
    size = len(PACKET) + 4
    assert str(caught.value) == f"the packet that on_xdp leaves has {size} bytes, more than there is room for; run it with room={size}"
    assert program.test_run(PACKET, room=size).data == PACKET + bytes(4)


def test_a_packet_of_several_pages(clang, kernel):
    text = '#include "mini_bpf.h"\nSEC("xdp.frags") int on_xdp(void *context) { return 2; }\nchar LICENSE[] SEC("license") = "GPL";'
    packet = PACKET * 140
    with bpfloader.Object.open(compile_text(clang, text)) as bpf:
        bpf.load()
        try:
            assert bpf.progs["on_xdp"].test_run(packet).data == packet
        except bpfloader.CallError as error:
            if error.errno_name == "ENOSPC":
                raise
            pytest.skip(f"before Linux 5.18 a packet has one page ({error.what})")


def test_an_xdp_program(loaded, bpf_testbed):
    bpf = loaded("on_xdp")
    program, loopback = bpf.progs.on_xdp, socket.if_nametoindex("lo")
    dropped = bpf_testbed.run(program, b"\xff" + PACKET[1:])
    assert dropped.value is XdpAction.XDP_DROP and dropped.context is None and dropped.nanoseconds >= 0
    run = bpf_testbed.run(program, b"meta" + PACKET, XdpMd(data=4, ingress_ifindex=loopback), repeat=3)
    assert run.value is XdpAction.XDP_PASS
    assert run.packet == b"meta" + PACKET + bytes(12)  # three runs by four bytes
    assert (run.context.data, run.context.data_end, run.context.ingress_ifindex) == (4, len(run.packet), loopback)
    assert (bpf.bss.metadata, bpf.bss.interface) == (4, loopback)
    with pytest.raises(bpfloader.CallError, match="EINVAL"):
        bpf_testbed.run(program, PACKET, XdpMd(ingress_ifindex=loopback, rx_queue_index=100))


def test_a_traffic_control_program(loaded, bpf_testbed):
    bpf = loaded("on_tc")
    run = bpf_testbed.run(bpf.progs.on_tc, PACKET, SkBuff(mark=41, cb=(9, 0, 0, 0, 0), ifindex=1))
    assert run.value is TcAction.TC_ACT_UNSPEC and bpf.bss.interface == 1
    assert (run.context.mark, run.context.priority, run.context.cb[0]) == (42, 9, 9)
    assert run.packet == b"\xaa" + PACKET[1:]
    assert bpf_testbed.run(bpf.progs.on_tc, PACKET).context is None


def test_a_socket_filter_and_a_cgroups_program(loaded, bpf_testbed):
    bpf = loaded("on_socket", "on_cgroup_skb")
    run = bpf_testbed.run(bpf.progs.on_socket, PACKET, SkBuff(cb=(10, 0, 0, 0, 0)))
    assert run.value == len(PACKET) - 14 - 10  # without its Ethernet header, as a socket sees it
    assert bpf_testbed.run(bpf.progs.on_cgroup_skb, PACKET, SkBuff(mark=7)).value == 1
    assert bpf_testbed.run(bpf.progs.on_cgroup_skb, PACKET, SkBuff(mark=8)).value == 0


def test_a_raw_tracepoints_program(loaded, bpf_testbed):
    bpf = loaded("on_raw_tp")
    run = bpf_testbed.run(bpf.progs.on_raw_tp, context=[-1, 2], cpu=0)
    assert run.value == -5
    assert (bpf.bss.first_argument, bpf.bss.second_argument) == ((1 << 64) - 1, 2)


def test_a_syscall_program_with_its_own_struct(loaded, bpf_testbed, module):
    bpf = loaded("on_syscall")
    run = bpf_testbed.run(bpf.progs.on_syscall, context=module.Sum(left=20, right=22))
    assert run.value == 0 and run.context == module.Sum(20, 22, 42)
    assert bpf_testbed.run(bpf.progs.on_syscall, context=module.Sum(100, 1)).value == -1


def test_a_look_up_of_a_socket(loaded, bpf_testbed):
    bpf = loaded("on_sk_lookup")
    packet = BpfSkLookup(
        family=socket.AF_INET, protocol=6, remote_ip4="192.0.2.1", remote_port=5000, local_ip4="192.0.2.2", local_port=80
    )
    run = bpf_testbed.run(bpf.progs.on_sk_lookup, context=packet)
    assert run.value is SkAction.SK_PASS and run.context.cookie == 0
    assert run.context.remote_ip4 == IPv4Address("192.0.2.1") and run.context.remote_port == 5000
    assert (bpf.bss.remote.to_bytes(4, sys.byteorder), bpf.bss.port) == (b"\xc0\x00\x02\x01", 80)
    packet.protocol = 17
    assert bpf_testbed.run(bpf.progs.on_sk_lookup, context=packet).value is SkAction.SK_DROP


def test_network_and_pins_are_the_tests_own(module, kernel, bpf_testbed):
    outside = os.stat(f"/proc/{os.getppid()}/root{bpf_testbed.bpffs}").st_dev
    bpf = bpf_testbed.open(module.Testbed)
    bpf_testbed.load(bpf, "on_xdp")
    assert "kept" in os.listdir(bpf_testbed.bpffs) and os.stat(bpf_testbed.bpffs).st_dev != outside
    bpf_testbed.attach(bpf.progs.on_xdp, "lo", mode="generic")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 9))
    assert bpf.bss.interface == socket.if_nametoindex("lo")
    bpf.maps.kept.unpin()
    bpf.progs.on_xdp.pin(f"{bpf_testbed.bpffs}/program")
    child = subprocess.run(["ls", bpf_testbed.bpffs], capture_output=True, text=True, check=True)
    assert "program" in child.stdout.split() and "kept" not in child.stdout.split()


def test_namespaces_are_left_as_they_were(kernel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = [f"/proc/thread-self/ns/{each}" for each in ("net", "mnt")]
    before = [os.readlink(each) for each in places]
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    try:
        with private_namespaces():
            assert not {*before} & {os.readlink(each) for each in places}
            thread.start()  # shares root and working folder with this one
            os.chdir("/sys/fs/bpf")
    finally:
        done.set()
    assert [os.readlink(each) for each in places] == before
    assert os.getcwd() == str(tmp_path)
    thread.join()


def test_what_could_not_be_left_is_not_entered(kernel):
    """In a user namespace whose mounts and network are another's, setns leads nowhere back."""
    code = """
import os
from bpfloader.testing.namespaces import NoNamespace, private_namespaces
here = lambda: [os.readlink(f"/proc/thread-self/ns/{name}") for name in ("net", "mnt")] + [os.getcwd()]
before = here()
try:
    with private_namespaces():
        print("entered")
except NoNamespace as error:
    print(here() == before, error)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(bpfloader.__file__).parents[1])}
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.stderr.startswith("unshare: "):
        pytest.skip("no user namespace can be made here")
    said = "True no network and mounts of its own: this machine allows none (setns: EPERM: Operation not permitted)\n"
    assert done.stdout == said, done.stderr


def test_what_the_verifier_refuses_fails(loaded):
    with pytest.raises(bpfloader.VerifierError):
        loaded("on_nothing")


def test_what_no_kernel_runs_without_an_event_fails(loaded, bpf_testbed):
    bpf = loaded("on_sample")
    with pytest.raises(bpfloader.CallError, match="the kernel doesn't run on_sample without an event"):
        bpf_testbed.run(bpf.progs.on_sample, PACKET)


@pytest.mark.parametrize("error, sections, said", [
    (bpfloader.LibraryError("can't load libbpf.so.1", fix="install it"), [], "can't load libbpf.so.1; install it"),
    (bpfloader.PrivilegeError("can't load: lacks CAP_BPF"), [], "can't load: lacks CAP_BPF"),
    (bpfloader.LoadError("refused", fix="the map type arena came with Linux 6.9"), [], "the map type arena came with Linux 6.9"),
    (bpfloader.VariantsError({"a": bpfloader.AttachError("no hook"), "b": bpfloader.LoadError("EPERM")}), [], "a: no hook; b: EPERM"),
    (bpfloader.VariantsError({"a": bpfloader.VerifierError("R0 !read_ok", program="f", log=())}), [], ""),
    (bpfloader.LoadError("refused"), ["xdp", "no such section"], ""),
    (bpfloader.ObjectError("no object"), [], ""),
])  # fmt: skip
def test_what_the_kernel_cannot_skips_and_a_fault_does_not(kernel, error, sections, said):
    assert reason_of(error, sections) == said


def test_a_kind_that_this_kernel_lacks_skips_with_its_reason(kernel, monkeypatch):
    from bpfloader.testing import reasons

    lacking = bpfloader.Support("fentry", False, "this kernel was built without CONFIG_X", "5.5", 24)
    monkeypatch.setattr(reasons, "attach_kind", lambda section: lacking)
    said = reason_of(bpfloader.LoadError("EPERM"), ["fentry/f"])
    assert said == "fentry: this kernel was built without CONFIG_X"
    refused = bpfloader.CallError("the kernel doesn't run f without an event", errno=22)
    assert run_reason_of(refused, "syscall") == run_reason_of(refused, "perf_event") == ""
    monkeypatch.setattr(reasons, "kernel_is_before", lambda release: True)
    monkeypatch.setattr(reasons, "kernel_release", lambda: "5.4")
    assert run_reason_of(refused, "syscall").endswith("; that came with Linux 5.14, this is 5.4")
    assert run_reason_of(refused, "perf_event") == ""


NOBODY = """
import os, pytest
pytest_plugins = ["bpfloader.testing"]

@pytest.fixture(autouse=True)
def nobody():
    os.seteuid(65534)
    yield
    os.seteuid(0)

def test_a(bpf_testbed): pass

def test_b(bpf_testbed): pass
"""


def test_without_root_each_test_is_skipped_with_one_line(open_folder):
    if os.geteuid():
        pytest.skip("setting another user wants root")
    (open_folder / "test_it.py").write_text(NOBODY)
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "test_it.py"]
    environment = {**os.environ, "PYTHONPATH": str(Path(bpfloader.__file__).parents[1]), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=open_folder, env=environment, capture_output=True, text=True)
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    reason = "no network and mounts of its own: needs root (setns: EPERM: Operation not permitted)"
    assert len(skipped) == 2 and all(line.endswith(f": {reason}") for line in skipped), done.stdout
    assert done.returncode == 0 and "warning" not in done.stdout
