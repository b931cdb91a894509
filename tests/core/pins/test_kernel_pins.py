"""[kernels.NAME] of toolchain.toml: each source, each mistake, in `pins`, and fetched as any artifact is."""

import hashlib

import pytest
from artifact_world import POOL, DEB, digest
from ebpfbuild.errors import EbpfError, MismatchError, PinError
from ebpfbuild.fetch.obtain import obtain_header
from ebpfbuild.pins import toolchain
from ebpfbuild.pins.effective import effective_pins

A = "a" * 64
TEXT = f"""[compiler]
package = "ziglang"
version = "22.1.8"
[libbpf]
version = "1.5.0"
sha256 = "{A}"
files = ["a.h"]
[[libbpf.source]]
url = "https://example.org/libbpf.tar.gz"
folder = "src"
[vmlinux.x86_64]
kernel = "6.19"
url = "https://example.org/vmlinux.h"
sha256 = "{A}"
[kernels.trixie]
arch = "aarch64"
kernel = "6.12.117"
pool = "pool/main/l/linux/linux-image_6.12.117-1_arm64.deb"
sha256 = "{A}"
size = 112593968
[kernels.hub]
arch = "x86_64"
kernel = "5.4"
url = "https://example.org/5.4.0.btf.tar.xz"
member = "5.4.0.btf"
sha256 = "{A}"
[kernels.ours]
arch = "x86_64"
kernel = "6.6"
path = "build/kernel.rpm"
member = "lib/modules/6.6/vmlinuz"
sha256 = "{A}"
"""
MISTAKES = [
    ('arch = "aarch64"', 'arch = "arm64"', r'16: kernels.trixie.arch: arm64 is an alias; write arch = "aarch64"'),
    ('arch = "aarch64"', 'arch = "arm46"', r"16: kernels.trixie.arch: no arch is called 'arm46'"),
    ('arch = "aarch64"\n', "", r"15: kernels.trixie.arch: is missing"),
    ('kernel = "6.12.117"\n', "", r"15: kernels.trixie.kernel: is missing"),
    ('member = "5.4.0.btf"\n', "", r"21: kernels.hub.member: is missing"),
    ('member = "lib/', 'member = "/lib/', r"31: kernels.ours.member: is '/lib"),
    ('path = "build/kernel.rpm"\n', "", r"27: kernels.ours: has no source"),
    ('path = "build/kernel.rpm"', 'path = "x"\npool = "pool/x.deb"', r"27: kernels.ours: has pool and path"),
    ("size = 112593968", 'uname = "6.12 117"', r"20: kernels.trixie.uname: is '6.12 117'; write what `uname -r` says there"),
    ("size = 112593968", 'uname = "*"', r"20: kernels.trixie.uname: is '\*'"),
    ('[kernels.ours]\n', '[kernels."o/s"]\nuname = "6.6*"\n', r"28: kernels.*uname: packs 'o/s', which is no name for a folder"),
    ("size = 112593968", "size = 1073741825", r"20: kernels.trixie.size: "),
    ('path = "build/kernel.rpm"', 'file = "x"', r"30: kernels.ours.file: is not known here"),
    ("[kernels.ours]\n", "[kernels]\nx = 1\n[kernels.ours]\n", r"28: kernels.x: is a number, not a table"),
]


def load(folder, text=TEXT):
    path = folder / "toolchain.toml"
    path.write_text(text)
    return toolchain.load(path)


def test_each_source_says_what_is_fetched_and_which_file_of_it_is_the_kernel(tmp_path):
    kernels = load(tmp_path).kernels
    assert {name: (pin.file.arch, pin.file.kernel, pin.file.source.kind, pin.file.source.inside, pin.member) for name, pin in kernels.items()} == {
        "trixie": ("aarch64", "6.12.117", "pool", "", ""),
        "hub": ("x86_64", "5.4", "url", "5.4.0.btf", ""),
        "ours": ("x86_64", "6.6", "path", "", "lib/modules/6.6/vmlinuz"),
    }
    assert kernels["trixie"].file.title == "kernel trixie (Linux 6.12.117 for aarch64)"
    listed = [pin.key for pin in effective_pins(tmp_path / "toolchain.toml") if pin.key.startswith("kernels.")]
    assert listed == [f"kernels.{name}" for name in kernels]


@pytest.mark.parametrize("old, new, message", MISTAKES, ids=lambda value: None)
def test_a_mistake_says_where_what_and_the_fix(tmp_path, old, new, message):
    assert old in TEXT
    with pytest.raises(EbpfError, match=message):
        load(tmp_path, TEXT.replace(old, new, 1))


def test_a_project_s_kernels_are_its_own(tmp_path):
    (tmp_path / "base.toml").write_text(TEXT)
    own = tmp_path / "toolchain.toml"
    own.write_text('[clang]\ncpu = "v3"\n')
    assert not toolchain.load(own, tmp_path / "base.toml").kernels


def kernel_of(world, lines):
    path = world.folder / "kernels.toml"
    path.write_text(TEXT.partition("[kernels.trixie]")[0] + f'[kernels.one]\narch = "x86_64"\nkernel = "6.1"\n{lines}')
    return toolchain.load(path).kernels["one"].file


def test_a_kernel_is_fetched_verified_and_kept_whole(world):
    """Of a package, the digest is that of the package: which file of it is the kernel is found out later."""
    pin = kernel_of(world, f'pool = "{POOL}"\nsha256 = "{digest(DEB)}"\n')
    got = obtain_header(pin, world.options(), world.heard)
    assert got.path.read_bytes() == DEB
    other = kernel_of(world, f'pool = "{POOL}"\nsha256 = "{hashlib.sha256(b"other").hexdigest()}"\n')
    with pytest.raises(MismatchError, match="kernel one"):
        obtain_header(other, world.options(), world.heard)
    with pytest.raises(PinError, match="kernel one"):
        obtain_header(kernel_of(world, f'pool = "{POOL}"\n'), world.options(), world.heard)
