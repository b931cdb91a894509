"""Pins outlast what made them: another folder is the working one, another start has taken the pin, a child was forked."""

import os
from pathlib import Path

import bpfloader
import pytest


def named(folder) -> set[str]:
    """What is pinned in a folder of a BPF file system."""
    return {name for name in os.listdir(folder) if not name.endswith(".debug")}


@pytest.fixture
def elsewhere(tmp_path, bpffs, monkeypatch):
    """A function that makes the BPF file system the working folder, or another one."""
    monkeypatch.chdir(bpffs)
    other = tmp_path / "other"
    other.mkdir()
    return lambda: os.chdir(other)


def test_a_relative_pin_is_that_of_the_folder_then(start, bpffs, elsewhere):
    link = start("on_raw_tracepoint").progs.on_raw_tracepoint.attach()
    link.pin("link")
    link.pin(Path("other"))
    elsewhere()
    Path("link").write_text("mine")
    link.unpin()
    assert named(bpffs) == set() and Path("link").read_text() == "mine"


def test_a_link_opened_by_a_relative_path_is_detached_from_any_folder(start, bpffs, elsewhere):
    bpf = start("on_raw_tracepoint")
    bpf.progs.on_raw_tracepoint.attach().pin("link")
    link = bpfloader.open_link("link")
    bpf.links.on_raw_tracepoint.detach()
    elsewhere()
    link.detach()
    assert named(bpffs) == set()


def test_a_map_s_relative_pin_path_is_that_of_the_folder_then(opened, bpffs, elsewhere):
    opened.maps.events.pin_path = "events"
    elsewhere()
    opened.load()
    assert opened.maps.events.pin_path == str(bpffs / "events") and named(bpffs) == {"events"}
    opened.maps.events.unpin()
    assert named(bpffs) == set()


@pytest.mark.parametrize("ends", ["unpin", "detach"])
def test_who_was_replaced_leaves_the_pin_of_the_next(start, bpffs, ends):
    """As a daemon does that is stopped once the next one has started."""
    first, second = start("on_raw_tracepoint"), start("on_raw_tracepoint")
    link = first.progs.on_raw_tracepoint.attach_pinned(bpffs / "link")
    if ends == "detach":
        link = bpfloader.open_link(bpffs / "link")
        first.links.on_raw_tracepoint.detach()
    successor = second.progs.on_raw_tracepoint.attach_pinned(bpffs / "link")
    assert successor.takeover == "replaced" and link.id != successor.id
    getattr(link, ends)()
    with bpfloader.open_link(bpffs / "link") as found:
        assert found.id == successor.id
    successor.unpin()
    assert named(bpffs) == set()


def test_who_was_updated_still_has_the_pin(start, bpffs, own_network):
    def run():
        first, second = start("on_xdp"), start("on_xdp_too")
        link = first.progs.on_xdp.attach_pinned(bpffs / "link", "lo", mode="generic")
        assert second.progs.on_xdp_too.attach_pinned(bpffs / "link", "lo", mode="generic").takeover == "updated"
        link.unpin()
        assert named(bpffs) == set()

    own_network(run)


def test_of_a_symlink_the_pin_is_taken_over(start, bpffs):
    first, second = start("on_raw_tracepoint"), start("on_raw_tracepoint")
    first.progs.on_raw_tracepoint.attach_pinned(bpffs / "link")
    old = first.links.on_raw_tracepoint.id
    (bpffs / "alias").symlink_to(bpffs / "link")
    taken = second.progs.on_raw_tracepoint.attach_pinned(bpffs / "alias")
    first.destroy()
    assert taken.takeover == "replaced" and (bpffs / "alias").is_symlink()
    with bpfloader.open_link(bpffs / "link") as found:
        assert found.id == taken.id
    with pytest.raises(bpfloader.AttachError, match="ENOENT"):  # two would see each event twice
        bpfloader.open_link(old)


def test_a_child_of_fork_keeps_no_link_that_exists(start, bpffs):
    bpf = start("on_raw_tracepoint")
    bpf.progs.on_raw_tracepoint.attach().pin(bpffs / "link")
    bpf.links.on_raw_tracepoint.detach()
    link = bpfloader.open_link(bpffs / "link")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)  # until the parent has detached it
        os._exit(link.attached)
    link.detach()
    os.close(writing)
    os.close(reading)
    assert os.waitpid(child, 0)[1] == 0


def test_ids_beyond_the_kernel_s_are_nobody_s(start):
    """C would take their lowest 32 bits, which may be somebody's."""
    bpf = start("on_raw_tracepoint")
    link, program = bpf.progs.on_raw_tracepoint.attach().id, bpf.progs.on_raw_tracepoint.info.id
    for beyond in (1 << 32, -1 << 32):
        with pytest.raises(bpfloader.AttachError, match=f"can't open the link with the id {link + beyond} .ENOENT"):
            bpfloader.open_link(link + beyond)
        with pytest.raises(bpfloader.CallError, match=f"can't open the program with the id {program + beyond} .ENOENT"):
            bpfloader.open_program(program + beyond)


@pytest.mark.parametrize("opener, kind", [("open_map", "map"), ("open_link", "link"), ("open_program", "program")])
def test_what_is_no_pin_isn_t_a_matter_of_rights(kernel, bpffs, tmp_path, opener, kind):
    """The kernel says EACCES of it, also to root."""
    (tmp_path / "file").write_text("x")
    (bpffs / "folder").mkdir()
    with pytest.raises(bpfloader.BpfError) as caught:
        getattr(bpfloader, opener)(tmp_path / "file")
    assert str(caught.value) == f"{tmp_path}/file is no pin; give the path of a {kind}'s pin"
    with pytest.raises(bpfloader.BpfError) as caught:
        getattr(bpfloader, opener)(bpffs / "folder")
    assert str(caught.value) == f"{bpffs}/folder is a folder, no pin; give the path of a {kind}'s pin in it"


def test_a_name_with_a_dot_is_told(opened, bpffs):
    opened.load()
    with pytest.raises(bpfloader.MapError, match="give a name without a dot, and a path of a BPF file system"):
        opened.maps.events.pin(bpffs / "events.1")
