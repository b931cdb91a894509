"""Open, load, attach, destroy in this kernel; and each error with its next step."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import bpfloader
import pytest
from bpfloader import libbpf as libbpf_module

LOADER = Path(bpfloader.__file__).resolve().parents[1]


def hits_of(probe) -> int:
    """How many system calls of this process the program counts while ten are made."""
    before = probe.bss.hits
    for _ in range(10):
        os.getppid()
    return probe.bss.hits - before


@pytest.fixture
def links_in_kernel():
    """A function link id -> whether the kernel still has that link (bpf_link_get_fd_by_id)."""
    import ctypes

    lib = ctypes.CDLL("libbpf.so.1")

    def alive(number: int) -> bool:
        fd = lib.bpf_link_get_fd_by_id(number)
        if fd >= 0:
            os.close(fd)
        return fd >= 0

    return alive


@pytest.fixture
def cgroup() -> str:
    """Where cgroup v2 is mounted."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    found = next((fields[1] for fields in mounts if fields[2] == "cgroup2"), None)
    return found or pytest.skip("no cgroup v2 is mounted")


def test_constants_are_set_before_load_and_steer_the_program(opened):
    assert (opened.rodata.start, opened.data.next_number) == (5, 100)
    opened.rodata.start = 2**32 - 1
    opened.data.next_number = 7
    opened.load()
    opened.progs.emit.test_run(bytes(64))
    event = next(opened.maps.events.events(timeout=0))
    assert (event.pid, event.number) == (2**32 - 1, 7)
    assert (opened.rodata.start, opened.data.next_number) == (2**32 - 1, 8)


def test_variables_are_set_after_load_constants_not(loaded):
    loaded.data.next_number = 2**40
    loaded.progs.emit.test_run(bytes(64))
    assert loaded.data.next_number == 2**40 + 1
    with pytest.raises(bpfloader.StateError, match=".rodata is constant after load; set it between open and load"):
        loaded.rodata.start = 1


def test_attaching_counts_and_destroying_detaches(opened, links_in_kernel):
    opened.rodata.target_pid = os.getpid()
    opened.load()
    assert hits_of(opened) == 0
    (link,) = opened.attach()
    assert link.program == "on_enter" and link.attached
    assert hits_of(opened) >= 10
    number = link.id
    assert number and links_in_kernel(number)
    opened.destroy()
    opened.destroy()
    assert not link.attached and not links_in_kernel(number)
    with pytest.raises(bpfloader.StateError, match="destroyed"):
        opened.bss.hits


def test_a_link_detaches_alone(opened):
    opened.rodata.target_pid = os.getpid()
    opened.load()
    link = opened.progs.on_enter.attach()
    assert hits_of(opened) >= 10
    link.detach()
    link.detach()
    assert hits_of(opened) == 0
    named = opened.progs.on_named.attach_raw_tracepoint("sys_enter")
    assert hits_of(opened) >= 10 and named in opened.links


def test_a_cgroup_program_sees_connections(loaded, cgroup):
    loaded.progs.on_connect.attach_cgroup(cgroup)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        assert loaded.bss.connects >= 1


def test_xdp_attaches_to_an_interface_once(loaded):
    loaded.progs.pass_.attach_xdp("lo")
    with pytest.raises(bpfloader.AttachError, match="can't attach pass .*EBUSY.*another program is attached"):
        loaded.progs.pass_.attach_xdp("lo")


def test_autoload_chooses_programs(opened):
    assert not opened.progs.refused.autoload and opened.progs.emit.autoload
    opened.select(["emit"])
    opened.load()
    assert [program.name for program in opened.progs if program.autoload] == ["emit"]
    with pytest.raises(bpfloader.StateError, match="on_enter is not loaded; set its autoload"):
        opened.progs.on_enter.attach()
    with pytest.raises(bpfloader.StateError, match="between open and load"):
        opened.progs.emit.autoload = False


def test_autoattach_leaves_a_program_out(loaded):
    loaded.progs.on_enter.autoattach = False
    assert loaded.attach() == []


def test_a_section_without_a_target_says_how_to_attach(loaded):
    with pytest.raises(bpfloader.AttachError, match=r"attach_cgroup\(path\)"):
        loaded.progs.on_connect.attach()


def test_a_test_run_gives_value_and_data(loaded):
    packet = bytes(range(64))
    run = loaded.progs.emit.test_run(packet)
    assert (run.value, run.data) == (7, packet)


def test_the_verifiers_log_is_in_the_error(opened):
    opened.select(["refused"])
    with pytest.raises(bpfloader.VerifierError, match="the verifier refuses the program refused") as caught:
        opened.load()
    assert caught.value.program == "refused" and caught.value.errno
    assert any("invalid mem access" in line for line in caught.value.log)
    assert "invalid mem access" in str(caught.value)


def test_a_hook_that_the_kernel_lacks_is_refused(opened):
    opened.select(["nowhere"])
    with pytest.raises(bpfloader.LoadError, match="refuses the program nowhere.*no such function or tracepoint"):
        opened.load()


def test_a_failed_attach_takes_back_the_others(opened):
    opened.rodata.target_pid = os.getpid()
    opened.select(["on_enter", "unattachable"])
    opened.load()
    with pytest.raises(bpfloader.AttachError, match="can't attach unattachable.*ENOENT"):
        opened.attach()
    assert hits_of(opened) == 0


def start(*programs):
    def run(probe):
        probe.select(programs)
        probe.rodata.target_pid = os.getpid()
        probe.load()
        probe.attach()

    return run


def test_choose_takes_the_first_variant_that_works(skel, kernel):
    variants = {"verifier": start("refused"), "hook": start("nowhere"), "attach": start("on_enter", "unattachable"),
                "raw": start("on_enter"), "never": start("emit")}  # fmt: skip
    probe, variant, refused = bpfloader.choose(skel.Probe.open, variants)
    with probe:
        assert variant == "raw" and hits_of(probe) >= 10
        assert {name: type(error).__name__ for name, error in refused.items()} == {
            "verifier": "VerifierError", "hook": "LoadError", "attach": "AttachError"}  # fmt: skip


def test_choose_tells_why_none_works(skel, kernel):
    with pytest.raises(bpfloader.VariantsError) as caught:
        bpfloader.choose(skel.Probe.open, {"one": start("refused"), "two": start("nowhere")})
    assert list(caught.value.refused) == ["one", "two"]
    assert "one: can't load" in str(caught.value) and "two: can't load" in str(caught.value)


def test_choose_destroys_what_fails_otherwise(skel, kernel):
    seen = []

    def broken(probe):
        seen.append(probe)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bpfloader.choose(skel.Probe.open, {"one": broken, "two": start("emit")})
    with pytest.raises(bpfloader.StateError):
        seen[0].handle


def test_the_digest_is_checked(skel, folder, libbpf):
    data = bytearray((folder / "probe.bpf.o").read_bytes())
    data[-1] ^= 1
    with pytest.raises(bpfloader.DigestError, match="take object and skeleton from the same build"):
        skel.Probe.open(bytes(data))


def test_an_object_for_another_machine_is_refused(skel, monkeypatch, libbpf):
    monkeypatch.setattr(skel.Probe, "MACHINE", "pdp11")
    with pytest.raises(bpfloader.ObjectError, match="compiled for pdp11, this machine is"):
        skel.Probe.open()


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"no object at all" * 100])
def test_what_is_no_object_is_refused(data, libbpf):
    with pytest.raises(bpfloader.ObjectError, match="libbpf can't open"):
        bpfloader.Object.open(data)


def test_an_object_opens_without_a_skeleton(folder, kernel):
    with bpfloader.Object.open(folder / "probe.bpf.o") as probe:
        emit = bpfloader.Program(probe, "emit")
        ring = bpfloader.RingBuffer(probe, "events", bpfloader.little_endian.tail())
        probe.load()
        emit.test_run(bytes(64))
        (record,) = ring.events(timeout=0)
        assert len(record) == 32


def test_a_missing_libbpf_names_the_package(monkeypatch, folder):
    monkeypatch.setattr(libbpf_module, "LIBRARY", "libbpf-that-is-not-there.so.1")
    libbpf_module.library.cache_clear()
    with pytest.raises(bpfloader.LibraryError, match="apt install libbpf1"):
        bpfloader.Object.open(folder / "probe.bpf.o")
    libbpf_module.library.cache_clear()


def test_a_library_without_the_functions_is_too_old(monkeypatch):
    with pytest.raises(bpfloader.LibraryError, match="has no libbpf_version_string; install libbpf 1.0 or newer"):
        libbpf_module.Library("libc.so.6")


def run_python(folder: Path, code: str, *wrapper: str) -> subprocess.CompletedProcess:
    setup = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(LOADER)!r}]\n"
    command = [*wrapper, sys.executable, "-S", "-c", setup + textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True)


def load_with_capabilities(folder: Path, capabilities: str, program: str) -> str:
    """What loading says with these capabilities and no other (setpriv's spelling)."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed (apt install util-linux)")
    code = f"""
        import bpfloader, probe_skel
        with probe_skel.Probe.open() as probe:
            probe.select([{program!r}])
            try:
                probe.load()
                print("loaded")
            except bpfloader.BpfError as error:
                print(type(error).__name__, error)
    """
    done = run_python(folder, code, "setpriv", "--bounding-set", capabilities)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_missing_capabilities_are_named(folder, kernel):
    said = load_with_capabilities(folder, "-all", "on_enter")
    assert said.startswith("PrivilegeError can't load probe.bpf.o: user 0 lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN")
    assert "give the process those capabilities" in said


def test_network_hooks_alone_want_cap_net_admin(folder, kernel):
    assert load_with_capabilities(folder, "-all,+bpf,+perfmon", "on_enter") == "loaded\n"
    said = load_with_capabilities(folder, "-all,+bpf,+perfmon", "pass")
    assert said.startswith("LoadError can't load probe.bpf.o: the kernel refuses the program pass")
    assert "give the process CAP_NET_ADMIN if it is a network hook, or try another variant" in said


def test_a_user_is_told_to_be_root(folder, kernel):
    data = str((folder / "probe.bpf.o").read_bytes())
    done = run_python(folder, f"""
        import os, bpfloader, probe_skel
        probe = probe_skel.Probe.open({data})
        os.setresuid(65534, 65534, 65534)
        try:
            probe.load()
        except bpfloader.PrivilegeError as error:
            print(error)
    """)  # fmt: skip
    assert "user 65534 lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN" in done.stdout, done.stderr
    assert "run it as root, or give the process those capabilities" in done.stdout


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "import gc; gc.collect()", "del probe, events"])
def test_an_interpreter_ends_well_without_destroy(folder, kernel, end):
    done = run_python(folder, f"""
        import probe_skel
        probe = probe_skel.Probe.open()
        probe.load()
        probe.attach()
        events = probe.maps.events.events(timeout=0)
        probe.progs.emit.test_run(bytes(64), repeat=3)
        print(next(events).number)
        {end}
    """)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "100\n", "")


def test_each_thread_keeps_its_own_log(skel, kernel):
    errors = {}

    def fail(name):
        with skel.Probe.open() as probe:
            probe.select([name])
            try:
                probe.load()
            except bpfloader.LoadError as error:
                errors.setdefault(name, []).append(str(error))

    threads = [threading.Thread(target=fail, args=(name,)) for name in ("refused", "nowhere") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors["refused"]) == len(errors["nowhere"]) == 4
    assert all("invalid mem access" in text and "nowhere" not in text for text in errors["refused"])
    assert all("no_such_tracepoint" in text and "refused'" not in text for text in errors["nowhere"])


def test_libbpf_prints_nothing_itself(folder, kernel):
    done = run_python(folder, """
        import bpfloader, probe_skel
        probe = probe_skel.Probe.open()
        probe.select(["refused"])
        try:
            probe.load()
        except bpfloader.VerifierError:
            probe.destroy()
    """)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_missing_btf_says_what_to_do(skel, kernel, monkeypatch):
    from bpfloader import refusal

    error = bpfloader.CallError("bpf_object__load failed", errno=3)
    monkeypatch.setattr(refusal, "KERNEL_BTF", "/nonexistent/btf")
    made = refusal.load_refused("x", error, ["libbpf: Error loading vmlinux BTF: -2\n"])
    assert isinstance(made, bpfloader.MissingBtfError) and "CONFIG_DEBUG_INFO_BTF=y" in str(made)


def test_btf_from_a_file_serves_relocations(skel, kernel):
    with skel.Probe.open(btf="/sys/kernel/btf/vmlinux") as probe:
        probe.load()


def test_the_loader_needs_only_the_standard_library(folder, libbpf):
    done = run_python(folder, """
        import sys
        import probe_skel
        names = {name.partition(".")[0] for name in sys.modules}
        print(sorted(names - sys.stdlib_module_names - {"__main__", "bpfloader", "probe_skel"}))
    """)  # fmt: skip
    assert done.stdout == "[]\n", done.stdout + done.stderr
