"""What libbpf has since 1.5: prepare, clones, streams, exclusive maps, tokens; and programs that exist, with any."""

import errno
import os
import re
import sys

import bpfloader
import pytest
from bpfloader.diagnose.refusal import attach_refused
from bpfloader.kernel.host import kernel_is_before
from bpfloader.kernel.kernel_btf import type_name
from bpfloader.kernel.versions import version_of
from bpfloader.libbpf import library
from daemons import FIRST, libc

NO_MEMORY = 2**32 - 12  # -ENOMEM
VMLINUX = 1  # the id of the kernel's own BTF, the first that it makes


def needs(since: str) -> None:
    """Skips with an older libbpf, of which `test_an_older_libbpf_is_named` tells what it says."""
    if version_of(bpfloader.version()) < version_of(since):
        pytest.skip(f"needs libbpf {since}, this one is {bpfloader.version()}")


@pytest.fixture
def opened(restart, kernel):
    with restart.open() as bpf:
        bpf.select(["on_call"])
        yield bpf


@pytest.mark.parametrize(
    ("since", "call"),
    [
        ("1.5", lambda bpf: type(bpf).open(token="")),
        ("1.6", lambda bpf: bpf.prepare()),
        ("1.6", lambda bpf: (bpf.load(), bpf.progs.on_call.read_stream())),
        ("1.7", lambda bpf: setattr(bpf.maps.counts, "exclusive_program", bpf.progs.on_call)),
        ("1.8", lambda bpf: (bpf.load(), bpf.progs.on_call.clone())),
    ],
    ids=["token", "prepare", "streams", "exclusive", "clone"],
)
def test_an_older_libbpf_is_named(opened, monkeypatch, since, call):
    here = "1.1"
    monkeypatch.setattr(library, "version", lambda: here)
    for module in (sys.modules["bpfloader.object.open"], sys.modules["bpfloader.map.base"]):
        assert module.require is library.require
    for name in ("bpf_object__prepare", "bpf_prog_stream_read", "bpf_program__clone"):
        shared = library.library()
        row = shared._rows[name]
        monkeypatch.setitem(vars(shared), name, shared._missing_function(row))
    with pytest.raises(bpfloader.LibraryError, match=f"libbpf {here} has no .*; install libbpf {since} or newer"):
        call(opened)


def test_prepare_makes_maps_before_programs(opened):
    needs("1.6")
    opened.rodata.version = 3
    opened.prepare()
    opened.maps.counts[7] = 70
    opened.bss.seen = 5
    with pytest.raises(bpfloader.StateError, match="the program on_call doesn't exist before load; call load first"):
        opened.attach()
    with pytest.raises(bpfloader.StateError, match="can't be changed after load"):
        opened.maps.counts.max_entries = 2
    with pytest.raises(bpfloader.StateError, match="constant after load"):
        opened.rodata.version = 4
    with pytest.raises(bpfloader.StateError, match="what is prepared can't be changed after load"):
        opened.prepare()
    opened.load()
    opened.attach()
    libc.syscall(FIRST + 1)
    assert opened.maps.counts[7] == 70 and opened.bss.seen == 6
    assert opened.maps.events.tuples() == [(FIRST + 1, 103)]
    with pytest.raises(bpfloader.StateError, match="is already loaded"):
        opened.load()


def test_a_clone_is_a_program_of_its_own(opened):
    needs("1.8")
    with pytest.raises(bpfloader.StateError, match="a clone of on_call doesn't exist before load"):
        opened.progs.on_call.clone()
    opened.prepare()
    with opened.progs.on_call.clone() as one, opened.progs.on_call.clone() as other:
        assert one.info.id != other.info.id and one.info.tag == other.info.tag and one.name == "on_call"
        assert set(one.info.map_ids) >= {opened.maps.events.id}


def test_an_older_libbpf_has_no_tracing_of_many(skeleton_of, kernel, monkeypatch):
    monkeypatch.setattr(library, "version", lambda: "1.7")
    with skeleton_of("multi").Multi.open() as bpf:
        bpf.select(["on_many"])
        with pytest.raises(bpfloader.LibraryError, match="libbpf 1.7 has no SEC.*; install libbpf 1.8 or newer"):
            bpf.load()


def test_functions_are_named_to_libbpf_by_their_ids(skeleton_of, kernel, own_btf, monkeypatch):
    """Of a program that isn't loaded, as this kernel may not load it."""
    asked = []
    monkeypatch.setattr(bpfloader.TracingMultiProgram, "_link", lambda self, *words, **request: asked.append((words, request)))
    with skeleton_of("multi").Multi.open() as bpf:
        attach = bpf.progs.on_many.attach
        attach()
        attach("tcp_v4_*")
        names = ["bpf_fentry_test1", "bpf_fentry_test2"]
        attach(functions=names, cookies=[10, 100])
        with pytest.raises(ValueError, match="1 cookies for 0 functions: give one for each"):
            attach("tcp_*", cookies=[1])
        with pytest.raises(bpfloader.AttachError, match="can't attach on_many .ENOENT.*: this kernel's BTF has no function no_such"):
            attach(functions=["no_such"])
    patterns = [(verb, pattern, options.cnt) for (verb, pattern, options), _ in asked]
    assert patterns == [("attach_tracing_multi", b"bpf_fentry_test*", 0), ("attach_tracing_multi", b"tcp_v4_*", 0),
                        ("attach_tracing_multi", None, 2)]  # fmt: skip
    options = asked[2][0][2]
    assert options.cookies[:2] == [10, 100]
    if not kernel_is_before("5.11"):  # whose own BTF has no id
        assert [type_name(VMLINUX, options.ids[at]) for at in range(2)] == names


def test_many_functions_are_traced_at_once(skeleton_of, kernel):
    if not (kind := bpfloader.attach_kind("fentry.multi")):
        pytest.skip(kind.reason)
    with skeleton_of("multi").Multi.open() as bpf:
        bpf.select(["on_many", "on_one"])
        bpf.load()
        with bpf.progs.on_many.attach() as link:
            assert "fentry.multi 14 functions" in [each.place for each in bpfloader.links() if each.id == link.id]
            bpf.progs.on_one.test_run()
        assert (bpf.bss.seen, bpf.bss.cookies) == (10, 0)
        bpf.progs.on_many.attach(functions=["bpf_fentry_test1", "bpf_fentry_test2"], cookies=[10, 100])
        bpf.progs.on_one.test_run()
        assert (bpf.bss.seen, bpf.bss.cookies) == (12, 110)


@pytest.mark.parametrize(("number", "pattern", "said"), [
    (errno.EINVAL, "no_such_*", "no function of this kernel's BTF matches no_such_[*]"),
    (errno.EINVAL, "no_such:tcp_*", "this kernel has no module no_such loaded"),
    (errno.ENOENT, "tcp_*", "the kernel can't trace all functions that match tcp_[*]; list some of available_filter"),
])  # fmt: skip
def test_a_pattern_that_can_t_be_traced_is_explained(kernel, own_btf, number, pattern, said):
    error = attach_refused("on_many", bpfloader.CallError("", errno=number), (), "fentry.multi", {"function": pattern})
    assert re.search(said, str(error))


def test_what_a_program_writes_to_its_stream_is_read_once(skeleton_of, kernel):
    needs("1.6")
    with skeleton_of("streams").Streams.open() as bpf:
        bpf.select(["speak"])
        try:
            bpf.load()
        except bpfloader.LoadError as error:
            pytest.skip(f"this kernel has no bpf_stream_vprintk_impl ({error.what})")
        assert bpf.progs.speak.read_stream() == ""
        if bpf.progs.speak.run().value == NO_MEMORY:
            pytest.skip("this kernel gives streams no memory (bpf_stream_page_replace: ENOMEM)")
        bpf.progs.speak.run()
        assert bpf.progs.speak.read_stream(room=4) == "1 an"
        assert bpf.progs.speak.read_stream() == "d 2\n1 and 2\n" and bpf.progs.speak.read_stream() == ""
        assert bpf.progs.speak.read_stream("stderr") == ""
        with pytest.raises(ValueError, match="there is no stream 'out': give \"stdout\" or \"stderr\""):
            bpf.progs.speak.read_stream("out")


def test_a_stream_is_text_of_the_length_that_libbpf_says(opened, monkeypatch):
    asked = []

    def read(fd, stream, buffer, room, options):
        asked.append((fd, stream, room, options))
        buffer.value = b"caf\xe9 and more"
        return 4

    opened.load()
    monkeypatch.setitem(vars(library.library()), "bpf_prog_stream_read", read)
    assert os.fsencode(opened.progs.on_call.read_stream("stderr", room=64)) == b"caf\xe9"
    assert asked == [(opened.progs.on_call.fd, 2, 64, None)]


def test_a_kernel_without_streams_is_named(opened, monkeypatch):
    def refuse(*_):
        raise bpfloader.CallError("bpf_prog_stream_read failed", errno=22)

    opened.load()
    monkeypatch.setitem(vars(library.library()), "bpf_prog_stream_read", refuse)
    with pytest.raises(bpfloader.CallError, match="can't read stdout of on_call .EINVAL.*use Linux 6.17 or newer"):
        opened.progs.on_call.read_stream()


def test_an_exclusive_map_is_one_program_s(restart, kernel):
    needs("1.7")
    for owner, fine in (("on_exit", True), ("on_call", False)):
        with restart.open() as bpf:
            bpf.select(["on_exit"])
            bpf.maps.counts.exclusive_program = bpf.progs[owner]
            assert bpf.maps.counts.exclusive_program is bpf.progs[owner]
            try:
                bpf.load()
            except bpfloader.LoadError as error:
                if fine:
                    pytest.skip(f"this kernel has no exclusive maps ({error.what})")
            else:
                assert fine


def test_no_token_is_taken_where_that_is_said(restart, kernel):
    needs("1.5")
    with restart.open(token="") as bpf:
        bpf.select(["on_call"])
        bpf.load()


def test_a_token_that_can_t_be_had_is_an_error_with_a_next_step(restart, tmp_path, kernel):
    needs("1.5")
    with restart.open(token=tmp_path) as bpf, pytest.raises(bpfloader.BpfError) as caught:
        bpf.select(["on_call"])
        bpf.load()
    assert caught.value.fix


def test_a_program_by_its_pin_and_id(start, bpffs):
    bpf = start("on_tc")
    bpf.progs.on_tc.pin(bpffs / "tc")
    with bpfloader.open_program(bpffs / "tc") as program, bpfloader.open_program(program.info.id) as same:
        assert (program.name, program.info.tag) == ("on_tc", bpf.progs.on_tc.info.tag) and same.fd != program.fd
        assert program.test_run(bytes(64)).value == 0
        before = len(os.listdir("/proc/self/fd"))
    assert len(os.listdir("/proc/self/fd")) == before - 2
    with pytest.raises(bpfloader.StateError, match="the program on_tc is closed; open it again"):
        program.test_run()


def test_a_program_that_exists_takes_a_link_over(start, own_network, bpffs):
    def run():
        bpf = start("on_xdp", "on_xdp_too")
        bpf.progs.on_xdp_too.pin(bpffs / "too")
        link = bpf.progs.on_xdp.attach("lo", mode="generic")
        with bpfloader.open_program(bpffs / "too") as program, bpfloader.open_link(link.id) as same:
            same.update(program)
            assert same.program_id == program.info.id

    own_network(run)


def test_what_is_no_program_is_refused(start, attached, bpffs):
    bpf = attached(start, "on_call")
    bpf.maps.numbers.pin(bpffs / "map")
    with pytest.raises(bpfloader.CallError, match="is no program, but a map; give the path of a program's pin"):
        bpfloader.open_program(bpffs / "map")
    with pytest.raises(bpfloader.CallError, match="can't open the program with the id 4294967294 .ENOENT"):
        bpfloader.open_program(0xFFFFFFFE)
    with pytest.raises(TypeError, match="is no path or id of a program"):
        bpfloader.open_program(True)
