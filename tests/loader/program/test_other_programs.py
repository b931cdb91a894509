"""Iterators, struct_ops, freplace, syscall programs; and what links and programs can do beside attaching."""

import os
import socket
import threading
import time
from pathlib import Path

import bpfloader
import pytest
from bpfloader.kernel.host import kernel_is_before
from bpfloader.kernel.link_places import LinkDetails
from bpfloader.kernel.versions import version_of
from compiling import compile_program


def test_an_iterator_is_read_as_text_and_as_records(start, kinds):
    import sys

    bpf = start("list_tasks", "task_rows")
    links = bpf.attach()
    assert sorted(link.program for link in links) == ["list_tasks", "task_rows"]
    me = os.getpid()
    assert f"{me} of {me}" in list(bpf.links.list_tasks)
    assert f"{me} of {me}\n".encode() in bpf.links.list_tasks.read()
    with bpf.links.list_tasks.open() as file:
        assert file.readline().endswith(b"\n")
    row = sys.modules[kinds.__module__].TaskRow
    assert (me, me) in {(each.pid, each.tgid) for each in bpf.links.task_rows.records(row)}


def test_an_iterator_over_one_process_or_thread(start):
    bpf = start("list_tasks")
    if kernel_is_before("6.1"):
        pytest.skip("an iterator takes a process or thread since Linux 6.1")
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with bpf.progs.list_tasks.attach(tid=other.native_id) as link:
            assert list(link) == [f"{other.native_id} of {os.getpid()}"]
        with bpf.progs.list_tasks.attach(pid=os.getpid()) as link:
            assert {f"{os.getpid()} of {os.getpid()}", f"{other.native_id} of {os.getpid()}"} <= set(link)
            assert all(line.endswith(f" of {os.getpid()}") for line in link)
    finally:
        done.set()
        other.join()


def test_a_kernel_that_ignores_which_tasks_are_asked_for_is_told(start, monkeypatch):
    """As those before 6.1 do."""
    bpf = start("list_tasks")
    monkeypatch.setattr(LinkDetails, "numbers", lambda self, layout, at=0: (0, 0))
    for asked in ({"pid": os.getpid()}, {"tid": os.getpid()}):
        with pytest.raises(bpfloader.AttachError, match="this kernel's iterators go over all tasks; leave pid and tid out"):
            bpf.progs.list_tasks.attach(**asked)
    assert not list(bpf.links)


def test_an_iterator_over_a_map(permitted):
    bpf = permitted("list_numbers")
    with pytest.raises(bpfloader.AttachError) as caught:
        bpf.attach()  # it wants a map
    assert str(caught.value) == (
        'nothing was attached: no section says where to attach list_numbers (SEC("iter/bpf_map_elem")); '
        "attach by hand: progs.list_numbers.attach(…) takes the target"
    )
    bpf.maps.numbers.update({1: 10, 2: 20})
    with bpf.progs.list_numbers.attach(elements=bpf.maps.numbers) as link:
        assert sorted(link) == ["1: 10", "2: 20"]


def test_an_iterator_over_cgroups(start, attached, cgroup):
    bpf = attached(start, "list_cgroups")
    folders = 1 + sum(path.is_dir() for path in Path(cgroup).rglob("*"))
    link = attached(bpf.progs.list_cgroups.attach, cgroup=cgroup)
    assert abs(len(list(link)) - folders) <= 2  # others may make and remove some meanwhile
    assert list(bpf.progs.list_cgroups.attach(cgroup=cgroup, order="self")) == ["cgroup"]


def test_a_congestion_control(skeleton_of, kernel, own_network):
    def transfer() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bpf_counting")
            client.connect(server.getsockname())
            peer, _ = server.accept()
            with peer:
                for _ in range(20):
                    client.sendall(b"x" * 1000)
                    peer.recv(1000)
        return bpf.bss.acknowledged

    with skeleton_of("congestion").Congestion.open() as bpf:
        bpf.load()
        (link,) = bpf.attach()
        assert link.program == "counting" and bpf.links["counting"] is link
        assert own_network(transfer) > 0
        with pytest.raises(bpfloader.AttachError, match="can't attach avoid alone: .*; attach that map"):
            bpf.progs.avoid.attach()
        link.detach()
        with pytest.raises(OSError):
            transfer()


def test_a_struct_ops_map_can_stay_unattached(skeleton_of, kernel):
    with skeleton_of("congestion").Congestion.open() as bpf:
        bpf.maps.counting.autoattach = False
        bpf.load()
        assert bpf.attach() == []


def test_a_table_none_of_whose_programs_is_loaded_is_refused_where_libbpf_would_crash(clang, kernel):
    with bpfloader.Object.open(compile_program(clang, "congestion")) as bpf:
        bpf.select([])
        if version_of(bpfloader.version()) >= (1, 4):
            return bpf.load()
        with pytest.raises(bpfloader.LibraryError, match="has no way to load counting, a struct_ops map, .*; install libbpf 1.4 or"):
            bpf.load()


def test_a_function_takes_the_place_of_another(start, clang, attached, own_btf):
    bpf = start("calls_replaceable")
    target = bpf.progs.calls_replaceable
    assert target.test_run(bytes(64)).value == 5
    with bpfloader.Object.open(compile_program(clang, "freplace")) as other:
        (program,) = other.progs
        assert type(program) is bpfloader.ExtensionProgram
        with pytest.raises(bpfloader.LoadError, match="can't make no_such_function the target of replacement"):
            program.set_attach_target("no_such_function", target)
        program.set_attach_target("replaceable", target)
        attached(other.load)
        attached(other.attach)
        assert target.test_run(bytes(64)).value == 77
        with pytest.raises(bpfloader.StateError, match="the target of replacement can't be changed after load"):
            program.set_attach_target("replaceable", target)
    assert target.test_run(bytes(64)).value == 5


def test_a_program_is_called(start, attached):
    bpf = attached(start, "on_call")
    run = bpf.progs.on_call.run((21).to_bytes(4, "little") + bytes(4))
    assert run.value == 42 and run.context == (21).to_bytes(4, "little") + (42).to_bytes(4, "little")
    with pytest.raises(bpfloader.AttachError, match="it is run when called; call run"):
        bpf.progs.on_call.attach()
    assert bpf.attach() == []


def test_a_program_that_cannot_be_test_run_says_so(start):
    bpf = start("on_sample")
    with pytest.raises(bpfloader.CallError, match="the kernel doesn't run on_sample without an event"):
        bpf.progs.on_sample.test_run(bytes(64))


def test_pins_outlive_the_object(start, with_mount, tmp_path, kinds):
    def run():
        bpf = start("on_tp_btf", pid=os.getpid())
        link, bss = bpf.progs.on_tp_btf.attach(), bpf.bss
        link.pin(tmp_path / "link")
        bpf.progs.on_tp_btf.pin(tmp_path / "program")
        assert {"link", "program"} <= set(os.listdir(tmp_path))
        with pytest.raises(bpfloader.AttachError, match="EEXIST.*unlink what is pinned there first"):
            link.pin(tmp_path / "link")
        link.detach()
        before = bss.hits
        os.getppid()
        assert bss.hits > before  # the pin holds it
        link.unpin()
        link.unpin()
        assert not (tmp_path / "link").exists() and (tmp_path / "program").exists()
        end, still = time.monotonic() + 5, True
        while still and time.monotonic() < end:  # the kernel ends an unlinked pin's link a little later
            before = bss.hits
            os.getppid()
            still = bss.hits > before
        assert not still

    with_mount("bpf", tmp_path, run)


def test_a_pin_wants_a_bpf_file_system(start, tmp_path):
    bpf = start("on_tp_btf")
    with pytest.raises(
        bpfloader.AttachError, match="can't pin the program on_tp_btf to .*give a path of a BPF file sys"
    ):
        bpf.progs.on_tp_btf.pin(tmp_path / "program")


def test_a_link_that_cannot_be_updated(start):
    bpf = start("on_tp_btf", "on_raw_tracepoint")
    link = bpf.progs.on_tp_btf.attach()
    with pytest.raises(
        bpfloader.AttachError, match="can't put on_raw_tracepoint in the place of on_tp_btf .*detach it"
    ):
        link.update(bpf.progs.on_raw_tracepoint)
    assert link.program == "on_tp_btf"


def test_links_by_name(start):
    bpf = start("on_tp_btf", "on_raw_tracepoint")
    assert bpf.links.on_tp_btf is None and bpf.links["on_tp_btf"] is None and len(bpf.links) == 0
    bpf.attach()
    assert {link.program for link in bpf.links} == {"on_tp_btf", "on_raw_tracepoint"}
    assert bpf.links.on_tp_btf.program == "on_tp_btf" and "on_tp_btf" in repr(bpf.links)
    with pytest.raises(KeyError):
        bpf.links["no_such_program"]
    with pytest.raises(AttributeError):
        bpf.links.no_such_program


@pytest.mark.parametrize("name, since", [("on_tcx", "1.3"), ("on_netfilter", "1.3"), ("on_uprobe_session", "1.6")])
def test_an_old_libbpf_is_named(kinds, kernel, name, since):
    if tuple(map(int, bpfloader.version().split(".")[:2])) >= tuple(map(int, since.split("."))):
        pytest.skip(f"libbpf {bpfloader.version()} knows {name}'s section")
    with kinds.open() as bpf:
        bpf.select([name])
        said = rf'libbpf {bpfloader.version()} has no SEC\(".*"\), which {name} is; install libbpf {since} or newer'
        with pytest.raises(bpfloader.LibraryError, match=said):
            bpf.load()


UNTARGETED = "on_sample on_xdp on_tc on_connect4 on_uprobe on_socket on_lookup on_message".split()


@pytest.mark.parametrize("program", UNTARGETED)
def test_a_program_whose_section_names_no_target_waits_for_its_own_attach(start, program):
    bpf = start("on_raw_tracepoint", program)
    assert [link.program for link in bpf.attach()] == ["on_raw_tracepoint"]
    alone = start(program)
    with pytest.raises(bpfloader.AttachError, match=f"nothing was attached: no section says where to attach {program} "):
        alone.attach()
