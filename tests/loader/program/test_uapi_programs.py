"""Programs without a vmlinux.h, in the style of tutorials and samples, in this kernel: they load, and do what they say."""

import platform
import struct
import subprocess
from pathlib import Path

import bpfloader
import pytest
from ebpfbuild.arch import host_arch
from ebpfbuild.compile.args import CompileArgs
from ebpfbuild.compile.object import compiled
from ebpfbuild.errors import CompilerError
from ebpfbuild.pins.toolchain import load
from ebpfbuild.uapi.install import install_uapi, read_manifest
from ebpfbuild.uapi.tree import search_dirs

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = ROOT / "tests" / "testdata" / "uapi"


@pytest.fixture(scope="module")
def objects(clang, pinned, tmp_path_factory):
    """A function: a program's name -> its object for this machine, compiled as a build does."""
    root = tmp_path_factory.mktemp("uapi")
    subprocess.run(["cp", "-r", f"{PROGRAMS}/.", root], check=True)
    try:
        install_uapi(load(ROOT / "toolchain.toml").uapi, ROOT, root / "build/uapi")
    except CompilerError as error:
        pytest.skip(str(error))
    (root / "build/libbpf/bpf").mkdir(parents=True)
    for name, path in pinned.libbpf().items():
        (root / "build/libbpf/bpf" / name).write_bytes(path.read_bytes())
    known = [f"build/uapi/{place}" for place in read_manifest(root / "build/uapi")]
    known += [str(path.relative_to(root)) for path in root.rglob("*.h")]

    def make(name):
        arch = host_arch(platform.machine())
        dirs = search_dirs("build/uapi", arch.name)
        args = CompileArgs(tuple(clang), arch, f"{name}.bpf.c", f"out/{name}.bpf.o", "", "build/libbpf", uapi_dirs=dirs)
        made = compiled(args, known, str(root))
        assert made.warnings == ""
        return made.data

    return make


@pytest.mark.parametrize("name", ["xdp_parse", "xdp_redirect", "tc_police", "sock_ops"])
def test_it_loads(objects, kernel, name):
    with bpfloader.Object.open(objects(name)) as bpf:
        bpf.load()
        assert len(bpf.progs) >= 1


def echo_request(sequence):
    """An ICMP echo request in Ethernet and IPv4, its checksums left out."""
    ethernet = bytes(12) + b"\x08\x00"
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 1, 0, bytes(4), bytes(4))
    return ethernet + ip + struct.pack(">BBHHH", 8, 0, 0, 1, sequence)


def test_xdp_drops_every_second_echo_request(objects, kernel):
    with bpfloader.Object.open(objects("xdp_parse")) as bpf:
        bpf.load()
        verdicts = [bpf.progs.xdp_parser_func.test_run(echo_request(sequence)).value for sequence in range(4)]
        tagged = echo_request(0)[:12] + struct.pack(">HH", 0x8100, 7) + echo_request(0)[12:]
        verdicts.append(bpf.progs.xdp_parser_func.test_run(tagged).value)
    assert verdicts == [1, 2, 1, 2, 1]  # XDP_DROP, XDP_PASS


def test_tc_rewrites_the_tos_of_a_tcp_packet(objects, kernel):
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, bytes(4), bytes(4))
    packet = bytes(12) + b"\x08\x00" + ip + struct.pack(">HH", 1, 443) + bytes(16)
    with bpfloader.Object.open(objects("tc_police")) as bpf:
        bpf.load()
        done = bpf.progs.police.test_run(packet)
    assert (done.value, done.data[15]) == (3, 8)  # TC_ACT_PIPE
