"""Open, load, attach, destroy in this kernel."""

import os
import socket
from pathlib import Path

import bpfloader
import pytest
from probing import hits_of, run_python


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
    named = opened.progs.on_named.attach("sys_enter")
    assert hits_of(opened) >= 10 and named in opened.links


def test_a_cgroup_program_sees_connections(loaded, cgroup):
    loaded.progs.on_connect.attach(cgroup)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        assert loaded.bss.connects >= 1


def test_xdp_attaches_to_an_interface_once(loaded):
    loaded.progs.pass_.attach("lo")
    with pytest.raises(bpfloader.AttachError, match="can't attach pass .*EBUSY.*another program is attached"):
        loaded.progs.pass_.attach("lo")


def test_autoattach_leaves_a_program_out(loaded):
    loaded.progs.on_enter.autoattach = False
    with pytest.raises(
        bpfloader.AttachError, match="nothing was attached: no section says where to attach emit .*on_named"
    ) as caught:
        loaded.attach()
    assert "on_enter" not in str(caught.value)
    for program in loaded.progs:
        program.autoattach = False
    assert loaded.attach() == []


def test_a_load_is_once(loaded, skel):
    with pytest.raises(bpfloader.StateError, match="^the object is already loaded; open it again"):
        loaded.load()
    with skel.Probe.open() as refused:
        refused.select(["refused"])
        with pytest.raises(bpfloader.VerifierError):
            refused.load()
        with pytest.raises(bpfloader.StateError, match="^the object was refused when it was loaded; open it again"):
            refused.load()


def test_a_name_that_an_object_lacks(loaded):
    for look, said in (
        (lambda: loaded["event"], "no map event; nearest: events"),
        (lambda: loaded.maps["event"], "no map event; nearest: events"),
        (lambda: loaded.progs["on_entr"], "no program on_entr; nearest: on_enter"),
        (lambda: loaded.links["on_entr"], "no program on_entr; nearest: on_enter"),
        (lambda: loaded.select(["on_entr"]), "no program on_entr; nearest: on_enter"),
        (lambda: loaded.maps["xyzzy"], "no map xyzzy"),
    ):
        with pytest.raises(KeyError) as caught:
            look()
        assert caught.value.args[0].startswith(said)


def test_a_variable_that_is_given_something_else_is_named(opened):
    for value, said in (
        (3.5, "3.5 is no u32"),
        (-1, "-1 is not in 0 … 4294967295"),
        (1 << 32, "4294967296 is not in 0"),
    ):
        with pytest.raises(bpfloader.LayoutError) as caught:
            opened.rodata.target_pid = value
        assert str(caught.value).startswith(".rodata.target_pid: " + said)


def test_a_section_without_a_target_says_how_to_attach(loaded):
    with pytest.raises(bpfloader.AttachError, match="can't attach on_named: neither its section nor attach names a"):
        loaded.progs.on_named.attach()


def test_a_test_run_gives_value_and_data(loaded):
    packet = bytes(range(64))
    run = loaded.progs.emit.test_run(packet)
    assert (run.value, run.data) == (7, packet)


def selected(bpf) -> list[str]:
    return [program.name for program in bpf.progs if program.autoload]


def test_programs_are_selected_by_name_or_as_programs(opened, skel):
    everything = [program.name for program in opened.progs]
    for given in (["emit", "fill"], [opened.progs.emit, "fill"], (opened.progs.emit, opened.progs.fill)):
        opened.select(given)
        assert selected(opened) == [name for name in everything if name in ("emit", "fill")]
    opened.select(opened.progs)
    assert selected(opened) == everything
    opened.select(program for program in opened.progs if program.name.startswith("em"))
    assert selected(opened) == [name for name in everything if name.startswith("em")]
    opened.select([bpfloader.Program(opened, "fill")])
    assert selected(opened) == ["fill"]
    opened.select([])
    assert selected(opened) == []
    with skel.Probe.open() as other:
        for given, error, said in (
            ("emit", TypeError, "'emit' is no list of programs; write ['emit']"),
            ([3], TypeError, "3 is no program; give names, or programs of progs"),
            (opened.maps, TypeError, " is no program; give names"),
            ([other.progs.emit], KeyError, "the program emit is another object's; give its name, or take it of progs"),
        ):
            with pytest.raises(error) as caught:
                opened.select(given)
            assert said in str(caught.value.args[0])
    assert selected(opened) == []  # a refused choice changes nothing


def test_a_failed_attach_takes_back_the_others(opened):
    opened.rodata.target_pid = os.getpid()
    opened.select(["on_enter", "unattachable"])
    opened.load()
    with pytest.raises(bpfloader.AttachError, match="can't attach unattachable.*ENOENT"):
        opened.attach()
    assert hits_of(opened) == 0


def test_a_skeleton_opens_its_own_object_from_anywhere_and_no_other(skel, folder, maps_object, tmp_path, kernel):
    data = (folder / "probe.bpf.o").read_bytes()
    (tmp_path / "other.o").write_bytes(data)
    for source in (tmp_path / "other.o", str(tmp_path / "other.o"), data):
        with skel.Probe.open(source) as probe:
            probe.load()

    class Packed(skel.Probe):
        MANIFEST = "0" * 64  # as in a package, which is not at fault here

    for kind in (skel.Probe, Packed):
        for source, where in ((maps_object, maps_object), (maps_object.read_bytes(), "the object given")):
            with pytest.raises(bpfloader.DigestError) as caught:
                kind.open(source)
            assert str(caught.value).startswith(f"{where} has sha256 ")
            assert caught.value.fix == "take object and skeleton from the same build"


def test_an_object_opens_without_a_skeleton(folder, kernel):
    with bpfloader.Object.open(folder / "probe.bpf.o") as probe:
        emit = bpfloader.Program(probe, "emit")
        ring = bpfloader.RingBuffer(probe, "events", bpfloader.little_endian.tail())
        probe.load()
        emit.test_run(bytes(64))
        (record,) = ring.events(timeout=0)
        assert len(record) == 32


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


def test_what_an_object_has_is_shown_by_name(opened):
    assert repr(opened.rodata).startswith("<ProbeRodata: ") and "start" in repr(opened.rodata)
    assert repr(opened.maps) == f"<ProbeMaps: {', '.join(each.name for each in opened.maps)}>"
    assert "emit" in repr(opened.progs) and repr(opened.progs).startswith("<ProbeProgs: ")


# A process of its own, for libbpf remembers what it tried: loads with few descriptors, then with enough.
FEW = """
import resource, bpfloader
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for limit in (*range(5, 40), hard):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        with bpfloader.Object.open(path) as bpf:
            bpf.load()
        print("loaded")
    except (bpfloader.BpfError, OSError) as error:
        print(error)
"""


def test_too_few_descriptors_are_told_and_spoil_no_later_load(folder, kernel):
    """libbpf takes a try that finds no descriptor for a kernel without global variables, and keeps to that."""
    lines = run_python(folder, f"path = {str(folder / 'probe.bpf.o')!r}\n{FEW}").stdout.splitlines()
    assert lines[-1] == "loaded"
    refused = [line for line in lines if "can't load" in line]
    assert refused and all("EMFILE" in line and "too many files open; close some, or raise" in line for line in refused)
