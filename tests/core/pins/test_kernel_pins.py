"""[kernels.NAME] of toolchain.toml: each source, each mistake, in `pins`, and fetched as any artifact is."""

import hashlib
import shutil
import subprocess

import pytest
from archives import deb, tar
from artifact_world import POOL, DEB, digest
from faultserver import body
from kernel_images import COMPRESSORS, elf, kernel_btf
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
    ("size = 112593968", f'btf_sha256 = "{A}"', r"20: kernels.trixie.btf_sha256: stands alone; name the file that it is of: btf"),
    ("size = 112593968", 'btf = "pool/../x.deb"', r"20: kernels.trixie.btf: "),
    ("size = 112593968", 'btf = "x.btf"\nbtf_member = "/x"', r"21: kernels.trixie.btf_member: is '/x'"),
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


def kernel_of(world, lines, part="file"):
    path = world.folder / "kernels.toml"
    path.write_text(TEXT.partition("[kernels.trixie]")[0] + f'[kernels.one]\narch = "x86_64"\nkernel = "6.1"\n{lines}')
    return getattr(toolchain.load(path).kernels["one"], part)


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


BTF = kernel_btf()
VMLINUX = elf({".BTF": BTF})
SYMBOLS = deb(tar({"./usr/lib/debug/boot/vmlinux-6.1": VMLINUX}))
HUB = COMPRESSORS["xz"](tar({"6.1.btf": BTF}))


def btf_of(world, lines):
    return kernel_of(world, f'pool = "{POOL}"\nsha256 = "{digest(DEB)}"\n{lines}', "btf")


@pytest.mark.parametrize("data, member", [(SYMBOLS, ""), (SYMBOLS, "usr/lib/debug/boot/vmlinux-6.1"), (HUB, ""), (HUB, "6.1.btf"), (BTF, "")])
def test_a_kernel_s_btf_comes_of_another_file_and_is_pinned_by_its_own_digest(world, data, member):
    """Once it is in the store, or in a mirror by its digest, nobody needs the other file, which is large."""
    world.server.say(body(data), path="/debian/pool/x.deb")
    lines = 'btf = "pool/x.deb"\n' + (f'btf_member = "{member}"\n' if member else "")
    with pytest.raises(PinError, match="BTF of kernel one .*has no sha256") as error:
        obtain_header(btf_of(world, lines), world.options(), world.heard)
    more = [f'btf_sha256 = "{digest(BTF)}"', f'btf_input_sha256 = "{digest(data)}"']
    assert list(error.value.details) == more
    pin = btf_of(world, lines + "\n".join(more))
    assert obtain_header(pin, world.options(), world.heard).path.read_bytes() == BTF
    world.down("/debian/pool/x.deb")
    assert obtain_header(pin, world.options(), world.heard).path.read_bytes() == BTF
    with pytest.raises(MismatchError, match="BTF of kernel one"):
        obtain_header(btf_of(world, lines + f'btf_sha256 = "{digest(b"")}"\n{more[1]}'), world.options(), world.heard)


def test_other_debug_symbols_than_the_pinned_ones_are_not_read(world):
    world.server.say(body(SYMBOLS), path="/debian/pool/x.deb")
    pin = btf_of(world, f'btf = "pool/x.deb"\nbtf_sha256 = "{digest(BTF)}"\nbtf_input_sha256 = "{digest(HUB)}"')
    with pytest.raises(MismatchError, match="x.deb with BTF of kernel one"):
        obtain_header(pin, world.options(), world.heard)


@pytest.mark.skipif(not (shutil.which("pahole", path="/usr/bin:/bin") and shutil.which("gcc")), reason="no pahole, or no gcc")
def test_other_btf_of_the_same_symbols_may_be_another_pahole_s(world):
    source = "struct task_struct { int pid; char name[16]; } init_task; int main(void) { return 0; }"
    subprocess.run(["gcc", "-g", "-o", world.folder / "vmlinux", "-xc", "-"], input=source, text=True, check=True)
    with pytest.raises(MismatchError, match="another pahole numbers the types otherwise: take the one that made the pinned BTF"):
        obtain_header(btf_of(world, f'btf = "vmlinux"\nbtf_sha256 = "{A}"\n'), world.options(), world.heard)
