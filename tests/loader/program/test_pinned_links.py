"""Pinned links that a daemon finds when it starts again: kept, updated, replaced or refused."""

import os
import shutil
import socket
import warnings

import bpfloader
import pytest
from bpfloader.kernel.host import kernel_is_before
from bpfloader.kernel.versions import version_of
from bpfloader.link import folder as folders
from bpfloader.program.takeover import same_program
from daemons import daemon, libc, refused, taken
from interfaces import make_interface


def test_a_program_is_the_same_by_code_target_maps_and_constants(restart, kernel):
    with restart.open() as one, restart.open() as other, restart.open() as third:
        for each, version in ((one, 1), (other, 1), (third, 2)):
            each.select(["on_call", "on_exit"])
            each.rodata.version = version
        one.load()
        for each in (other, third):
            for shared in ("events", "counts"):
                each.maps[shared].reuse(one.maps[shared])
            each.load()
        assert same_program(one.progs.on_call.fd, one.progs.on_call.fd)
        assert same_program(one.progs.on_exit.fd, other.progs.on_exit.fd)
        # The tag of all three is one, but other.bss is another map, and the constants of the third differ.
        assert not same_program(one.progs.on_call.fd, other.progs.on_call.fd)
        assert not same_program(one.progs.on_call.fd, one.progs.on_exit.fd)


def test_a_refused_attach_leaves_all_as_it_was(restart, pins, own_network, monkeypatch):
    def run():
        with daemon(restart, pins, ("on_call", "on_xdp")) as old:
            xdp = old.progs.on_xdp.attach_pinned(f"{pins}/links/on_xdp", "lo", mode="generic")
            before = {name: bpfloader.open_link(f"{pins}/links/{name}") for name in ("on_call", "on_xdp")}
            assert xdp.takeover == "attached"
        with restart.open() as new:
            new.select(["on_call", "on_typed_call"])
            new.rodata.version = 5
            monkeypatch.setattr(type(new.progs.on_typed_call), "attach", refuse)
            with pytest.raises(bpfloader.AttachError, match="can't attach on_typed_call"):
                new.attach(pin=pins)
            assert not len(new.links)
        after = {name: bpfloader.open_link(f"{pins}/links/{name}") for name in before}
        for name, link in after.items():
            assert (link.id, link.program_id) == (before[name].id, before[name].program_id)

    def refuse(self, **_):
        raise bpfloader.AttachError("can't attach on_typed_call")

    own_network(run)


def test_an_update_is_taken_back_with_the_rest(restart, pins, own_network):
    def run():
        with daemon(restart, pins, ("on_call", "on_xdp")) as old:
            path = f"{pins}/links/on_xdp"
            old.progs.on_xdp.attach_pinned(path, "lo", mode="generic")
            before = bpfloader.open_link(path).program_id
            with restart.open() as new:
                new.select(["on_xdp"])
                new.load(pin=pins)
                from bpfloader.program.takeover import take_over, taking_over

                program = new.progs.on_xdp
                with pytest.raises(ZeroDivisionError), taking_over(new, f"{pins}/links") as (undo, done):
                    link = take_over(program, path, program._place("lo"), program.attach, undo, done)
                    assert link.takeover == "kept"
                    raise ZeroDivisionError
                new.rodata  # the same version: nothing to take back
            with restart.open() as new:
                new.select(["on_xdp"])
                new.rodata.version = 9
                new.load(pin=pins)
                program = new.progs.on_xdp
                with pytest.raises(ZeroDivisionError), taking_over(new, f"{pins}/links") as (undo, done):
                    link = take_over(program, path, program._place("lo"), program.attach, undo, done)
                    assert link.takeover == "updated" and bpfloader.open_link(path).program_id != before
                    raise ZeroDivisionError
            assert bpfloader.open_link(path).program_id == before

    own_network(run)


def test_a_folder_of_no_bpf_file_system_is_refused(unloaded, tmp_path):
    assert "/here is in no BPF file system; mount one: mount -t bpf bpf" in refused(unloaded, str(tmp_path / "here"))
    assert not (tmp_path / "here").exists()


def test_a_folder_with_a_dot_is_refused(unloaded, bpffs):
    said = refused(unloaded, str(bpffs / "execs.d"))
    assert "can't keep pins in" in said and "no name there may hold a dot" in said


@pytest.mark.parametrize("error", [FileNotFoundError, FileExistsError])
def test_a_folder_that_another_process_removes_is_made_again(unloaded, pins, monkeypatch, error):
    """`rm -r` ends a daemon while the next one starts: makedirs finds the folder's parent or the folder gone."""
    removals = iter([error, error])

    def made(path, mode, exist_ok, really=os.makedirs):
        for each in removals:
            raise each
        really(path, mode, exist_ok)

    monkeypatch.setattr(os, "makedirs", made)
    unloaded.select(["on_call"])
    assert unloaded.attach(pin=pins)[0].takeover == "attached"


def test_a_folder_that_is_removed_while_it_is_used_is_told(unloaded, pins, monkeypatch):
    monkeypatch.setattr("bpfloader.object.pins._warn_of_others", lambda bpf, links: shutil.rmtree(pins) or os.listdir(links))
    said = refused(unloaded, pins)
    assert said == f"{pins}/links was removed while pins were kept in it (ENOENT: No such file or directory); start again"


def test_a_pin_in_the_place_of_the_folder_is_refused(unloaded, restart, pins):
    with restart.open() as other:
        other.select(["on_call"])
        other.load()
        other.maps.counts.pin(pins)
        assert "something is pinned there: give a folder" in refused(unloaded, pins)


def test_something_else_at_a_link_s_path_is_refused(unloaded, restart, pins, own_network):
    def run():
        os.makedirs(f"{pins}/links")
        with restart.open() as other:
            other.select(["on_call", "on_xdp"])
            other.load()
            other.maps.counts.pin(f"{pins}/links/on_call")
            xdp = other.progs.on_xdp.attach("lo", mode="generic")
            xdp.pin(f"{pins}/links/on_typed_call")
            with restart.open() as first:
                assert "is no link, but a map; give the path of a link's pin" in refused(first, pins)
            said = refused(unloaded, pins, ["on_typed_call"])
            assert "for on_typed_call: it is the xdp link of on_xdp; give another path, or unpin it: python -m" in said

    own_network(run)


def test_links_come_after_their_maps(unloaded, pins):
    unloaded.select(["on_call"])
    unloaded.load()
    with pytest.raises(bpfloader.StateError, match="without the maps pinned in .*; call attach.pin=…. without load"):
        unloaded.attach(pin=pins)
    assert not os.path.exists(f"{pins}/links")


def test_what_the_kernel_can_t_pin_is_refused(unloaded, pins, own_network):
    def run():
        unloaded.select(["on_tc"])
        unloaded.load(pin=pins)
        with pytest.raises(bpfloader.AttachError, match="can't pin on_tc: the kernel has no link for it"):
            unloaded.progs.on_tc.attach_pinned(f"{pins}/links/on_tc", "lo", "ingress", priority=1)
        assert not len(unloaded.links)

    own_network(run)


def test_the_lock_is_waited_for_and_its_end_named(unloaded, pins, monkeypatch):
    monkeypatch.setattr(folders, "PATIENCE", 0.05)
    with folders.locked(pins):
        assert f"another process has the lock of {pins}" in refused(unloaded, pins)


def test_a_program_that_the_new_version_lacks_is_named(restart, pins, kernel, attached):
    with daemon(restart, pins) as bpf:
        attached(bpf.progs.on_call.attach).pin(f"{pins}/links/before")
    with pytest.warns(RuntimeWarning, match="links/before is the link of a program that this object doesn't have"):
        with daemon(restart, pins):
            pass
    with warnings.catch_warnings(), restart.open() as bpf:
        warnings.simplefilter("error")
        bpf.select(["on_call"])
        with pytest.raises(RuntimeWarning, match="links/before"):
            bpf.attach(pin=pins)
        assert not len(bpf.links)  # all or nothing, also where a warning is an exception


@pytest.mark.parametrize("where", ["lo", "another"])
def test_another_target_gets_a_link_of_its_own(restart, pins, own_network, where, attached):
    def run():
        path = f"{pins}/links/on_tc"
        with restart.open() as bpf:
            bpf.select(["on_tc"])
            bpf.load(pin=pins)
            first = attached(bpf.progs.on_tc.attach_pinned, path, "lo", "ingress")  # a link since Linux 6.6
            again = bpf.progs.on_tc.attach_pinned(path, "lo", "ingress" if where == "lo" else "egress")
            assert again.takeover == ("kept" if where == "lo" else "replaced")
            assert (first.id == again.id) == (where == "lo")
            first.detach()
            assert bpfloader.open_link(path).id == again.id

    own_network(run)


def test_a_tracepoint_of_tracefs_is_kept(restart, pins, with_mount):
    def run():
        # Before Linux 6.6 a link doesn't say at which tracepoint it is.
        for how in ("attached", "replaced" if kernel_is_before("6.6") else "kept"):
            with daemon(restart, pins, ["on_traced_call"]) as bpf:
                assert taken(bpf) == {"on_traced_call": how}

    try:
        with_mount("tracefs", "/sys/kernel/tracing", run)
    except bpfloader.AttachError as error:
        pytest.skip(error.what)


def test_the_link_of_a_kprobe_is_kept_or_replaced(kinds, kernel, pins, attached):
    path, ids, hits = f"{pins}/links/on_kprobe", [], 0
    told = not kernel_is_before("6.6")  # whether a link says at which function it is
    for expected, pid in (("attached", 0), ("kept" if told else "replaced", 0), ("replaced", os.getpid())):
        with kinds.open() as bpf:
            bpf.select(["on_kprobe"])
            bpf.rodata.target_pid = pid  # a constant: with another one, it is another program
            bpf.load(pin=pins)
            link = attached(bpf.progs.on_kprobe.attach_pinned, path)
            assert link.takeover == expected and bpf.bss.hits >= hits
            ids.append(link.id)
            before = bpf.bss.hits
            libc.getppid()
            hits = bpf.bss.hits
            assert hits > before
    assert (ids[0] == ids[1]) == told and ids[2] != ids[1]
    libc.getppid()
    with bpfloader.open_map(f"{pins}/maps/_bss") as variables, bpfloader.open_link(path) as link:
        assert variables[0].hits == hits + 1 and (link.id, link.program) == (ids[2], "on_kprobe")


def test_the_link_of_a_netkit_is_kept_or_updated(kinds, pins, own_network, attached):
    def run():
        attached(make_interface, "kit0", "netkit")
        path, ids = f"{pins}/links/on_netkit", []
        for name, expected in (("on_netkit", "attached"), ("on_netkit", "kept"), ("on_netkit_too", "updated")):
            with kinds.open() as bpf:
                bpf.select([name])
                attached(bpf.load, pin=pins)
                link = attached(bpf.progs[name].attach_pinned, path, "kit0")
                assert link.takeover == expected
                ids.append(link.id)
        assert len(set(ids)) == 1
        with bpfloader.open_link(path) as link:
            assert link.program == "on_netkit_too"

    own_network(run)


def test_a_table_of_struct_ops_takes_the_place_of_the_one_before(skeleton_of, kernel, pins):
    if version_of(bpfloader.version()) < (1, 2):
        pytest.skip(f"needs libbpf 1.2, this one is {bpfloader.version()}")
    if kernel_is_before("6.4"):
        with skeleton_of("congestion_link").CongestionLink.open() as bpf:
            with pytest.raises(bpfloader.LoadError, match=r'SEC\(".struct_ops.link"\), unlike .* came with Linux 6.4'):
                bpf.load()
        return
    os.mkdir(pins)
    path, ids = f"{pins}/counting", []
    for expected in ("attached", "updated", "updated"):
        with skeleton_of("congestion_link").CongestionLink.open() as bpf:
            bpf.load()
            link = bpf.maps.counting.attach_pinned(path)
            assert link.takeover == expected
            with bpfloader.open_link(path) as pinned:
                ids.append(pinned.id)
    assert len(set(ids)) == 1
    with socket.socket() as client:  # it is still registered
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bpf_counting")
