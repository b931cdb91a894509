"""Texts for C: one with a NUL would be cut off there, and name another function, probe or pin. It is refused."""

import os

import bpfloader
import pytest
from bpfloader.libbpf.c_text import c_path, c_text

NUL = "holds a NUL, where C would cut it off; give it without"
# What takes a text to libbpf: each is called with the open and the loaded object, and a folder of a BPF file system.
CALLS = {
    "a map's pin": lambda opened, loaded, folder: loaded.maps.events.pin(f"{folder}/events\0x"),
    "a program's pin": lambda opened, loaded, folder: loaded.progs.emit.pin(f"{folder}/emit\0x"),
    "a link's pin": lambda opened, loaded, folder: loaded.progs.on_enter.attach().pin(f"{folder}/link\0x"),
    "a taken link": lambda opened, loaded, folder: loaded.progs.on_enter.attach_pinned(f"{folder}/link\0x"),
    "a folder of pins": lambda opened, loaded, folder: opened.attach(pin=f"{folder}/all\0x"),
    "pin_path": lambda opened, loaded, folder: setattr(opened.maps.events, "pin_path", f"{folder}/events\0x"),
    "pin_root": lambda opened, loaded, folder: type(opened).open(pin_root=f"{folder}/root\0x"),
    "kconfig": lambda opened, loaded, folder: type(opened).open(kconfig={"CONFIG_BPF": "y\0n"}),
    "reuse": lambda opened, loaded, folder: opened.maps.events.reuse(f"{folder}/events\0x"),
    "open_map": lambda opened, loaded, folder: bpfloader.open_map(f"{folder}/events\0x"),
    "open_link": lambda opened, loaded, folder: bpfloader.open_link(f"{folder}/link\0x"),
    "open_program": lambda opened, loaded, folder: bpfloader.open_program(f"{folder}/emit\0x"),
    "a raw tracepoint": lambda opened, loaded, folder: loaded.progs.on_enter.attach("sys_enter\0x"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_text_with_a_nul_is_refused_and_does_nothing(opened, skel, bpffs, call):
    with skel.Probe.open() as loaded:
        loaded.load()
        with pytest.raises(ValueError) as caught:
            call(opened, loaded, bpffs)
        assert str(caught.value).endswith(NUL)
    assert not {name for name in os.listdir(bpffs) if not name.endswith(".debug")}


@pytest.mark.parametrize("name, arguments", [
    ("on_uprobe", ("/bin/sh", "main\0x")), ("on_uprobe", ("/bin/sh\0x", "main")),
    ("on_uprobe_multi", ("/bin/sh", "main\0*")), ("on_usdt", ("/bin/sh", "provider\0", "name")),
    ("on_kprobe", ("tcp_connect\0x",)), ("on_kprobe_multi", ("tcp_*\0",)), ("on_ksyscall", ("openat\0x",)),
    ("on_tracepoint", ("syscalls", "sys_enter_openat\0x")),
])  # fmt: skip
def test_a_probe_whose_name_has_a_nul_is_no_other_probe(skeleton_module, kernel, name, arguments, monkeypatch):
    from bpfloader.program.base import Program

    monkeypatch.setattr(Program, "_loaded_handle", lambda self: self.handle)  # no kernel is asked
    with skeleton_module("kinds").Kinds.open() as bpf, pytest.raises(ValueError, match=NUL):
        bpf.progs[name].attach(*arguments)


def test_a_target_with_a_nul_is_no_other_target(skeleton_module, kernel):
    with skeleton_module("kinds").Kinds.open() as bpf, pytest.raises(ValueError, match=NUL):
        bpf.progs.on_fentry.set_attach_target("tcp_connect\0x")


def test_all_other_bytes_go_through():
    assert c_text("caf\udce9") == b"caf\xe9" and c_path(os.fsdecode(b"/caf\xe9")) == b"/caf\xe9"


def test_a_file_s_name_may_be_any_bytes(folder, tmp_path, kernel):
    path = os.fsencode(tmp_path) + b"/caf\xe9.bpf.o"
    with open(path, "wb") as file:
        file.write((folder / "probe.bpf.o").read_bytes())
    with bpfloader.Object.open(os.fsdecode(path)) as plain:
        plain.load()
        assert plain.maps["events"].id
