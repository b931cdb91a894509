"""`python -m bpfloader detach`: lists what is at interfaces and pinned with its owners, and takes away what is named."""

import os
import struct

import bpfloader
import pytest
from interfaces import make_interface, set_mtu
from bpfloader.__main__ import main
from bpfloader.detach.attachments import attachments
from bpfloader.kernel import netlink
from test_network_programs import seen
from test_traffic_control import LO, filters_work, left, script  # noqa: F401

GENERIC = netlink.XDP_MODES["generic"]


def put_by_netlink(program: bpfloader.Program) -> None:
    """Attaches an XDP program to lo as `ip link set dev lo xdpgeneric` does."""
    fields = netlink._attribute(netlink.IFLA_XDP_FD, struct.pack("=i", program.fd))
    fields += netlink._attribute(netlink.IFLA_XDP_FLAGS, struct.pack("=I", GENERIC))
    nested = netlink._attribute(netlink.IFLA_XDP | netlink.NLA_F_NESTED, fields)
    netlink.request(netlink.RTM_SETLINK, 0, netlink.LINK_MESSAGE.pack(0, 0, LO, 0, 0) + nested)


def detach(capsys, *arguments: str) -> str:
    """Returns what the command prints, of an error its line with the exit status 2."""
    status = main(["detach", *arguments])
    said = capsys.readouterr()
    assert (status, bool(said.err)) in ((0, False), (2, True))
    return said.out + said.err


@pytest.mark.filterwarnings("ignore:a process that has ended left the filter")
def test_all_that_is_at_an_interface_with_its_owner(start, script, own_network, capsys):  # noqa: F811
    def run():
        script("os.kill(os.getpid(), signal.SIGKILL)").communicate()
        bpf = start("on_xdp", "on_tc")
        bpf.progs.on_xdp.attach("lo", mode="generic")
        bpf.progs.on_tc.attach("lo", "egress", priority=9)
        bpf.progs.on_tc.attach("lo", "ingress")
        found = {(each.kind, each.place): each for each in attachments()}
        if ("tc", "tcx ingress") in found:  # a kernel without tcx has a filter more
            assert found["tc", "tcx ingress"].owners[0].pid == os.getpid()
        assert found["xdp", "xdp generic"].owners[0].pid == os.getpid()
        assert found["tc", "filter egress, priority 9, handle 0x1"].owners[0].pid == os.getpid()
        assert found["tc", "filter ingress, priority 3, handle 0x1"].owners == ()
        said = detach(capsys)
        assert "filter ingress, priority 3, handle 0x1" in said and "no process holds it" in said
        assert f"({os.getpid()})" in said
        # Only what is named goes: first the left program, then the rest of traffic control, then XDP.
        old = found["tc", "filter ingress, priority 3, handle 0x1"].program
        assert detach(capsys, "--tc", "lo", "--program", str(old)).count("detached lo") == 2  # ingress and egress
        assert left() == (1 if ("tc", "tcx ingress") in found else 2) and seen(bpf) == 3
        assert "detached lo" in detach(capsys, "--tc", "lo", "--program", "on_tc")
        assert seen(bpf) == 1 and left() == 0
        detach(capsys, "--xdp", "lo")
        assert seen(bpf) == 0 and "At interfaces\n  nothing" in detach(capsys)

    own_network(run)


def test_an_xdp_program_that_netlink_put_there(start, own_network, capsys):
    def run():
        bpf = start("on_xdp", "on_xdp_too")
        put_by_netlink(bpf.progs.on_xdp)
        assert seen(bpf) == 1
        with pytest.raises(bpfloader.AttachError) as caught:
            bpf.progs.on_xdp_too.attach("lo", mode="generic")
        said = str(caught.value)
        assert "another program is attached there: the program " in said and ", generic, held by " in said
        assert "detach it first: python -m bpfloader detach --xdp lo" in said
        assert "xdp generic, by netlink" in detach(capsys, "--xdp", "lo")
        assert seen(bpf) == 0
        bpf.progs.on_xdp_too.attach("lo", mode="generic")
        assert seen(bpf) == 1

    own_network(run)


def test_pins(start, with_mount, capsys, tmp_path):
    bpf = start("on_xdp")

    def run():
        place = tmp_path / "bpf"
        for folder in ("a", "b"):
            (place / folder).mkdir()
        bpf.maps.numbers.pin(place / "a" / "numbers")
        bpf.progs.on_xdp.pin(place / "b" / "program")
        listed = detach(capsys)
        assert f"map      numbers  {place}/a/numbers" in listed and f"program  on_xdp  {place}/b/program" in listed
        assert f"unpinned the map numbers at {place}/a/numbers" in detach(capsys, "--pin", str(place / "a" / "numbers"))
        assert "(ENOENT: No such file or directory)" in detach(capsys, "--pin", str(place / "a" / "numbers"))
        assert f"is a folder; name a pin; in it is {place}/b/program" in detach(capsys, "--pin", str(place / "b"))
        (tmp_path / "file").touch()
        assert "can't unpin" in detach(capsys, "--pin", str(tmp_path / "file")) and (tmp_path / "file").exists()
        assert "can't unpin" in detach(capsys, "--pin", str(place / "none"))
        assert detach(capsys, "--pin", str(place / "b" / "program")).startswith("unpinned the program on_xdp")
        assert str(place) not in detach(capsys)

    (tmp_path / "bpf").mkdir()
    with_mount("bpf", str(tmp_path / "bpf"), run)


def test_what_isn_t_there(own_network, capsys):
    def run():
        assert "lo has no program of XDP; nothing is to be done" in detach(capsys, "--xdp", "lo")
        assert "lo has no program 7 of traffic control" in detach(capsys, "--tc", "lo", "--program", "7")
        assert "there is no interface lo1; nearest: lo" in detach(capsys, "--tc", "lo1")
        assert "--program chooses among those of an interface" in detach(capsys, "--program", "on_tc")

    own_network(run)


def test_native_and_generic_xdp_at_a_veth(start, own_network):
    """Each refusal says what is in the way, and that generic mode is the way out."""

    def run():
        make_interface("vet0", "veth")  # its peer is veth0
        for device in ("vet0", "veth0"):
            set_mtu(device, 9000)
        bpf = start("on_xdp", "on_xdp_too")
        for where in ({}, {"mode": "native"}):
            with pytest.raises(bpfloader.AttachError) as caught:
                bpf.progs.on_xdp.attach("vet0", **where)
            assert caught.value.errno_name == "ERANGE"
            assert "the MTU of vet0, or of its peer, is too large for native XDP" in caught.value.what
            assert 'attach with mode="generic", which needs no driver' in caught.value.fix
        link = bpf.progs.on_xdp.attach("vet0", mode="generic")
        for device in ("vet0", "veth0"):
            set_mtu(device, 1500)
        with pytest.raises(bpfloader.AttachError) as caught:
            bpf.progs.on_xdp_too.attach("vet0", mode="native")
        said = str(caught.value)
        assert "(EEXIST: File exists): vet0 has an XDP program in generic mode, and no other mode beside it" in said
        assert "detach it first: python -m bpfloader detach --xdp vet0" in said
        link.detach()
        bpf.progs.on_xdp_too.attach("vet0", mode="native")
        with pytest.raises(bpfloader.AttachError, match="the driver of lo has no native XDP; attach with mode=.generic"):
            bpf.progs.on_xdp.attach("lo", mode="native")
        with pytest.raises(bpfloader.AttachError, match="takes no programs into its hardware; attach with mode=.native"):
            bpf.progs.on_xdp.attach("lo", mode="offload")

    own_network(run)
