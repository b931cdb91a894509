"""Links that exist, opened by pin and id: looked at, updated, taken away, whoever holds them."""

import os

import bpfloader
import pytest
from bpfloader.link.place import LinkType
from bpfloader.kernel.bpffs import pins
from probing import ends
from test_network_programs import seen
from unprivileged import as_nobody


def test_a_link_by_its_pin_and_id(start, bpffs, own_network):
    def run():
        bpf = start("on_xdp", "on_xdp_too")
        bpf.progs.on_xdp.attach("lo", mode="generic").pin(bpffs / "xdp")
        bpf.links.on_xdp.detach()
        with bpfloader.open_link(bpffs / "xdp") as link, bpfloader.open_link(link.id) as same:
            assert (link.type, link.program, link.id) == ("xdp", "on_xdp", same.id) and link.attached
            assert link.place == same.place == (LinkType.XDP, 1)
            assert link.program_id == same.program_id and seen(bpf) == 1
            link.update(bpf.progs.on_xdp_too)
            assert link.program == "on_xdp_too" and link.program_id == same.program_id
        assert not link.attached and seen(bpf) == 1  # closed, not detached
        with pytest.raises(bpfloader.StateError, match="the link of on_xdp_too is closed; open it again"):
            link.update(bpf.progs.on_xdp)
        link = bpfloader.open_link(str(bpffs / "xdp"))
        link.detach()
        link.detach()
        assert seen(bpf) == 0 and not (bpffs / "xdp").exists() and not link.attached

    own_network(run)


def test_a_link_of_another_is_detached_by_force(start, own_network):
    def run():
        bpf = start("on_xdp")
        mine = bpf.progs.on_xdp.attach("lo", mode="generic")
        bpfloader.open_link(mine.id).detach()
        assert seen(bpf) == 0 and mine.id

    own_network(run)


def test_a_tracing_link_ends_with_its_last_pin(start, bpffs):
    bpf = start("on_raw_tracepoint", pid=os.getpid())
    mine = bpf.progs.on_raw_tracepoint.attach()
    for name in ("one", "other"):
        mine.pin(bpffs / name)
    number = mine.id
    mine.detach()
    with pytest.raises(bpfloader.AttachError, match=f"the link {number} of on_raw_tracepoint is still attached: it is pin"):
        bpfloader.open_link(bpffs / "one").detach()
    assert not (bpffs / "one").exists() and seen(bpf, os.getppid) > 0
    bpfloader.open_link(bpffs / "other").detach()
    assert ends(seen, bpf, os.getppid)


def test_who_holds_a_tracing_link_is_named(start, bpffs):
    bpf = start("on_raw_tracepoint", pid=os.getpid())
    mine = bpf.progs.on_raw_tracepoint.attach()
    mine.pin(bpffs / "one")
    child = os.fork()
    if not child:
        held = bpfloader.open_link(bpffs / "one")
        os.kill(os.getpid(), 19)
        os._exit(held.id == 0)
    os.waitpid(child, os.WUNTRACED)
    mine.detach()
    try:
        with pytest.raises(bpfloader.AttachError, match=rf"is still attached: .* \({child}\) holds it; end that, or unpin"):
            bpfloader.open_link(bpffs / "one").detach()
    finally:
        os.kill(child, 18)
        assert os.waitpid(child, 0)[1] == 0


def test_what_is_no_link_is_refused(start, bpffs):
    bpf = start("on_raw_tracepoint")
    bpf.maps.numbers.pin(bpffs / "map")
    bpf.progs.on_raw_tracepoint.pin(bpffs / "program")
    for path, says in {"map": "is no link, but a map", "program": "is no link, but a program", "none": "ENOENT"}.items():
        with pytest.raises(bpfloader.AttachError, match=says):
            bpfloader.open_link(bpffs / path)
    with pytest.raises(bpfloader.AttachError, match="can't open the link with the id 4294967294 .ENOENT"):
        bpfloader.open_link(0xFFFFFFFE)
    for wrong in (True, None, 1.5):
        with pytest.raises(TypeError, match="is no path or id of a link"):
            bpfloader.open_link(wrong)


def test_a_link_is_closed_with_its_last_reference(start, own_network):
    def run():
        bpf = start("on_xdp")
        mine = bpf.progs.on_xdp.attach("lo", mode="generic")
        before = len(os.listdir("/proc/self/fd"))
        link = bpfloader.open_link(mine.id)
        assert len(os.listdir("/proc/self/fd")) == before + 1
        del link
        assert len(os.listdir("/proc/self/fd")) == before and seen(bpf) == 1

    own_network(run)


def test_a_name_of_more_than_15_characters_is_whole_by_its_function_s_btf(start, bpffs):
    """As bpftool has it; without CAP_SYS_ADMIN the kernel gives no BTF by its id."""
    program = start("on_raw_tracepoint").progs.on_raw_tracepoint
    number, attached = program.info.id, program.attach()
    program.pin(bpffs / "program")
    attached.pin(bpffs / "link")
    with bpfloader.open_program(bpffs / "program") as opened, bpfloader.open_link(bpffs / "link") as link:
        assert {opened.name, opened.info.name, program.info.name, link.program} == {"on_raw_tracepoint"}
    assert [each.info.name for each in bpfloader.programs() if each.info.id == number] == ["on_raw_tracepoint"]
    assert [each.name for each in bpfloader.links() if each.id == attached.id] == ["on_raw_tracepoint"]
    assert {each.name for each in pins() if each.path.startswith(str(bpffs))} == {"on_raw_tracepoint"}
    with as_nobody():
        assert program.info.name == "on_raw_tracepoi"
