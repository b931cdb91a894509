"""Probes of the kernel and of binaries: each attaches, counts real events, and hands on its cookie."""

import contextlib
import os
import re
import subprocess
import sys
import time

import bpfloader
import pytest
from bpfloader.kernel import host
from probing import ends


def cookie_of(bpf, cookie: int) -> dict[str, int]:
    """A cookie as attach takes it; nothing where the kernel doesn't let the program ask for it."""
    return {"cookie": cookie} if bpf.rodata.with_cookies else {}


FTRACE = "/sys/kernel/tracing/available_filter_functions", "/sys/kernel/debug/tracing/available_filter_functions"


CALLS = {"getppid": os.getppid, "getpgid": lambda: os.getpgid(0), "getsid": lambda: os.getsid(0),
         "sched_yield": os.sched_yield}  # fmt: skip


def function_of_a_call(*listings: str):
    """(the kernel's function of a system call, what makes that) by the first of these files that can be read.

    ftrace doesn't list every system call's on every kernel. Skips where there is no such file, or no such call in it.
    """
    for listing in listings:
        with contextlib.suppress(OSError), open(listing) as file:
            names = re.findall(r"\b((?:__(?:x64|arm64|riscv|s390x|powerpc|loongarch)_)?sys_(\w+))\b", file.read())
            known = {call: function for function, call in names}
            found = next(((known[call], make) for call, make in CALLS.items() if call in known), None)
            return found or pytest.skip(f"{listing} has no function of {', '.join(CALLS)}")
    pytest.skip(f"this kernel has no {listings[0]}")


def calls(bpf, function=os.getppid, times=10) -> int:
    """Returns how many events the program counts while a function is called."""
    before = bpf.bss.hits
    for _ in range(times):
        function()
    return bpf.bss.hits - before


def test_a_tracepoint(start, with_mount):
    bpf = start("on_tracepoint", pid=os.getpid())

    cookie = cookie_of(bpf, 7)

    def attached():
        attach = bpf.progs.on_tracepoint.attach
        return attach(**cookie), attach("syscalls", "sys_enter_getpid")

    named, other = with_mount("tracefs", "/sys/kernel/tracing", attached)
    assert calls(bpf) == 10 and bpf.bss.cookie == cookie.get("cookie", 0)
    assert named.id or not cookie  # a tracepoint has a link of the kernel's since it has cookies, 5.15
    named.detach()
    assert ends(calls, bpf) and calls(bpf, os.getpid) == 10
    other.detach()
    assert len(bpf.links) == 0


def test_a_raw_tracepoint(start):
    bpf = start("on_raw_tracepoint", pid=os.getpid())
    link = bpf.progs.on_raw_tracepoint.attach("sys_exit")
    assert calls(bpf) >= 10
    link.detach()
    assert ends(calls, bpf)
    (link,) = bpf.attach()
    assert calls(bpf) >= 10 and bpf.links.on_raw_tracepoint is link


def test_a_raw_tracepoint_takes_a_cookie(start, attached):
    bpf = start("on_raw_tracepoint", pid=os.getpid())
    if not bpf.rodata.with_cookies:
        pytest.skip("this kernel gives programs of that kind no cookie")
    attached(bpf.progs.on_raw_tracepoint.attach, cookie=9)
    assert calls(bpf) >= 10 and bpf.bss.cookie == 9


def test_a_raw_tracepoint_runs_for_a_test(start):
    bpf = start("on_arguments")
    run = bpf.progs.on_arguments.test_run(
        context=(5).to_bytes(8, sys.byteorder) + (6).to_bytes(8, sys.byteorder), cpu=0
    )
    assert (run.value, bpf.bss.argument) == (3, 6)


def test_a_typed_tracepoint(start):
    bpf = start("on_tp_btf", pid=os.getpid())
    with bpf.progs.on_tp_btf.attach():
        assert calls(bpf) >= 10
    assert ends(calls, bpf)


def test_a_typed_tracepoint_takes_a_cookie(start, attached):
    bpf = start("on_tp_btf", pid=os.getpid())
    if not bpf.rodata.with_cookies:
        pytest.skip("this kernel gives programs of that kind no cookie")
    attached(bpf.progs.on_tp_btf.attach, cookie=2**63)
    assert calls(bpf) >= 10 and bpf.bss.cookie == 2**63


@pytest.mark.parametrize("name", ["on_kprobe", "on_kretprobe", "on_kprobe_multi", "on_kprobe_session", "on_ksyscall"])
def test_functions_of_the_kernel(start, attached, name):
    bpf = attached(start, name, pid=os.getpid())
    attach, make = bpf.progs[name].attach, os.getppid
    if name == "on_ksyscall":  # the section's has no arguments: libbpf doesn't find it where system calls have no wrappers
        make = CALLS["getpgid"]
        attached(attach, "getpgid")
    elif name in ("on_kprobe", "on_kretprobe"):
        function, make = function_of_a_call("/proc/kallsyms")
        attached(attach, function)
    else:
        function, make = function_of_a_call(*FTRACE)
        attached(attach, functions=[function])
    assert calls(bpf, make) == (20 if name == "on_kprobe_session" else 10)


@pytest.mark.parametrize("name", ["on_fentry", "on_fexit", "on_fmod_ret", "on_lsm"])
def test_programs_at_trampolines_see_their_calls(start, attached, name, tmp_path):
    import socket

    bpf = attached(start, name, pid=os.getpid())
    attached(bpf.attach)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        (tmp_path / "opened").touch()
    if name != "on_fmod_ret":
        assert bpf.bss.hits


def test_a_kind_that_the_kernel_denies_is_not_put_down_to_memlock(start, own_btf):
    from bpfloader.kernel import host

    if host.kernel_is_before("5.11"):
        pytest.skip("this kernel counts BPF memory against RLIMIT_MEMLOCK")
    try:
        start("on_fentry")
    except bpfloader.LoadError as error:
        assert error.details and not any("ulimit" in line for line in error.details)
        if error.errno_name == "EPERM" and host.has_all_options("fentry") and not host.denial_fix():
            assert "this kernel doesn't permit that kind of program, though it was built for it;" in str(error)
    else:
        pytest.skip("this kernel takes fentry")


@pytest.mark.filterwarnings("ignore:process .* has not mapped")
def test_a_function_of_a_binary(start, binary):
    sleepable = "on_uprobe_sleepable" if bpfloader.attach_kind("uprobe.s") else "on_uprobe"
    bpf = start(*dict.fromkeys(("on_uprobe", "on_uretprobe", sleepable)))
    cookie = cookie_of(bpf, 5)
    links = [bpf.progs.on_uprobe.attach(binary, "work", **cookie), bpf.progs.on_uretprobe.attach(binary, "work"),
             bpf.progs[sleepable].attach(binary, "more")]  # fmt: skip
    subprocess.run([binary, "10"], check=True)
    assert bpf.bss.hits == 30
    links[1].detach()
    links[2].detach()
    subprocess.run([binary, "10"], check=True)
    assert bpf.bss.hits == 40 and bpf.bss.cookie == cookie.get("cookie", 0)
    links[0].detach()  # 6.1 and 6.12 count a return by the filter of an entry probe at the same function
    bpf.progs.on_uprobe.attach(binary, "work", at_return=True, pid=os.getpid())
    bpf.progs.on_uprobe.attach(binary, "more", pid=os.getpid())
    subprocess.run([binary, "10"], check=True)
    assert bpf.bss.hits == 40
    bpf.progs.on_uprobe.attach(binary, "more")
    subprocess.run([binary, "10"], check=True)
    assert bpf.bss.hits == 50
    with pytest.raises(bpfloader.AttachError, match="can't attach on_uprobe "):
        bpf.progs.on_uprobe.attach(binary, "no_such_function")
    with pytest.raises(bpfloader.AttachError, match="neither its section nor attach names a binary and a function"):
        bpf.progs.on_uprobe.attach()


def test_a_function_of_a_library_is_found_by_its_name(start):
    import ctypes

    bpf = start("on_uprobe", pid=os.getpid())
    try:
        bpf.progs.on_uprobe.attach("libc.so.6", "getppid", pid=0)
    except bpfloader.AttachError as error:
        if "is Thumb code" not in error.what:  # as Debian's is, for armhf
            raise
        pytest.skip(error.what)
    assert calls(bpf, ctypes.CDLL("libc.so.6").getppid) == 10


def test_many_functions_of_a_binary(start, attached, binary):
    bpf = attached(start, "on_uprobe_multi")
    link = attached(bpf.progs.on_uprobe_multi.attach, binary, "?or?")
    subprocess.run([binary, "10"], check=True)
    assert bpf.bss.hits == 20
    link.detach()
    bpf.progs.on_uprobe_multi.attach(binary, functions=["work"], cookies=[11], at_return=True)
    subprocess.run([binary, "10"], check=True)
    assert bpf.bss.hits == 30 and bpf.bss.cookie == 11
    with pytest.raises(ValueError, match="2 cookies for 1 functions"):
        bpf.progs.on_uprobe_multi.attach(binary, functions=["work"], cookies=[1, 2])


def test_a_session_at_functions_of_a_binary(start, attached, binary):
    bpf = attached(start, "on_uprobe_session")
    attached(bpf.progs.on_uprobe_session.attach, binary, "work")
    subprocess.run([binary, "10"], check=True)
    assert bpf.bss.hits == 20


def test_a_static_probe(start, attached, binary):
    bpf = attached(start, "on_usdt")  # it asks for its cookie whatever the kernel
    link = bpf.progs.on_usdt.attach(binary, "tests", "beat", cookie=33)
    subprocess.run([binary, "10"], check=True)
    assert (bpf.bss.hits, bpf.bss.argument) == (10, 7)
    if tuple(map(int, bpfloader.version().split(".")[:2])) < (1, 7):  # its specs are longer than the map's values
        assert bpf.bss.cookie == 33
    assert link.id == 0
    with pytest.raises(bpfloader.StateError, match="the kernel has no link for on_usdt"):
        link.pin("/sys/fs/bpf/usdt")
    link.detach()
    subprocess.run([binary, "10"], check=True)
    assert bpf.bss.hits == 10
    with pytest.raises(bpfloader.AttachError, match="can't attach on_usdt"):
        bpf.progs.on_usdt.attach(binary, "tests", "no_such_probe")


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("options", [
    {"frequency": 200}, {"period": 5_000_000, "pid": 0}, {"event": (1, 0), "frequency": 200, "pid": 0, "cookie": 4},
])  # fmt: skip
def test_a_perf_event_program_runs_at_each_sample(start, options):
    bpf = start("on_sample", pid=os.getpid())
    if not bpf.rodata.with_cookies:
        options = {key: value for key, value in options.items() if key != "cookie"}
    link = bpf.progs.on_sample.attach(**options)
    spin(0.2)
    assert bpf.bss.hits >= 5 and bpf.bss.cookie == options.get("cookie", 0)
    link.detach()
    before = bpf.bss.hits
    spin(0.05)
    assert bpf.bss.hits == before and list(bpf.links) == []


BUSY = """
import threading, time
stop, started = threading.Event(), []
def busy():
    started.append(threading.get_native_id())
    while not stop.is_set(): pass
for line in iter(input, "end"):
    threading.Thread(target=busy, daemon=True).start() if line == "thread" else stop.set()
    while line == "thread" and not started: time.sleep(0.001)
    print(started[-1], flush=True)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_is_sampled_in_all_its_threads(start, when):
    """perf_event_open(2) takes a process's id for that of its first thread, which waits here (DataDog/ddprof #389)."""
    bpf = start("on_sample")
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def do(line: str) -> int:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        def samples(pid: int) -> int:
            before = bpf.bss.hits
            end = time.monotonic() + 20
            while bpf.bss.hits < before + 20 and time.monotonic() < end:
                time.sleep(0.01)
            return bpf.bss.hits - before

        if when == "before":
            thread = do("thread")
        link = bpf.progs.on_sample.attach(frequency=1000, pid=process.pid)
        if when == "after":
            thread = do("thread")
        assert samples(process.pid) >= 20
        link.detach()
        assert len(bpf.links) == 0
        with bpf.progs.on_sample.attach(frequency=1000, pid=thread):  # that thread alone
            assert samples(thread) >= 20
        process.stdin.write("end\n")


def test_samples_want_a_pace(start):
    bpf = start("on_sample")
    with pytest.raises(ValueError, match="one of frequency .* and period"):
        bpf.progs.on_sample.attach("cpu-clock")


@pytest.mark.parametrize(("name", "target"), [("on_lsm", ()), ("on_lsm_cgroup", ("/sys/fs/cgroup",))])
@pytest.mark.parametrize(("modules", "called"), [("lockdown,yama", False), ("yama,bpf", True), ("", True)])
def test_an_lsm_program_that_would_never_be_called(kinds, libbpf, monkeypatch, name, target, modules, called):
    """The kernel attaches it all the same, and a policy that nobody sees is none (bpftrace #2716, bcc #3697)."""
    monkeypatch.setattr(host, "security_modules", lambda: modules)
    with kinds.open() as bpf, pytest.raises(bpfloader.BpfError) as caught:
        bpf.progs[name].attach(*target)
    told = str(caught.value)
    assert ("never be called; boot with lsm=lockdown,yama,bpf" in told) != called
    assert isinstance(caught.value, bpfloader.AttachError) or called
