"""A pinned package that Debian's pool has dropped: the message says so, and names what apt's lists have instead."""

import gzip
import lzma

import pytest
from artifact_world import World
from ebpfbuild.errors import FetchError
from ebpfbuild.fetch.newest import newest_package
from ebpfbuild.fetch.obtain import obtain_header
from ebpfbuild.pins import toolchain

GONE = "pool/main/l/linux-signed-amd64/linux-image-6.1.0-9-cloud-amd64_6.1.99-1_amd64.deb"
NEWEST = "pool/updates/main/l/linux-signed-amd64/linux-image-6.1.0-56-cloud-amd64_6.1.192-2_amd64.deb"
LISTED = [
    GONE, NEWEST, GONE.replace("-9-", "-50-").replace("6.1.99", "6.1.176"),
    GONE.replace("cloud-amd64_", "rt-amd64_").replace("6.1.99", "6.1.200"), GONE.replace("amd64.deb", "i386.deb").replace("6.1.99", "6.1.200"),
    GONE.replace("linux-signed-amd64", "other").replace("6.1.99", "6.1.200"), "pool/main/l/linux-signed-amd64/linux-image-cloud-amd64_6.1.200-1_amd64.deb",
]  # fmt: skip
TEXT = "".join(f"Package: x{number}\nFilename: {path}\nSize: 1\n\n" for number, path in enumerate(LISTED * 3000))


@pytest.mark.parametrize("ending, pack", [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_the_newest_is_found_in_a_list_of_any_compression_and_size(tmp_path, ending, pack):
    folder = tmp_path / "var/lib/apt/lists"
    folder.mkdir(parents=True)
    assert newest_package(GONE, tmp_path) == ""
    (folder / f"a_dists_bookworm_main_binary-amd64_Packages{ending}").write_bytes(pack(TEXT.encode()))
    (folder / f"b_dists_bookworm_main_binary-amd64_Packages{ending}").write_bytes(pack(b"")[:5])
    assert newest_package(GONE, tmp_path) == NEWEST
    assert newest_package("pool/main/n/none/none_1_amd64.deb", tmp_path) == ""


@pytest.mark.parametrize("listed, fix", [(TEXT, f"pin the newest, {NEWEST}, or give MIRROR="), ("", "pin the one that came after it, or give MIRROR=")])
def test_a_package_that_is_gone_says_so_and_the_store_keeps_what_it_has(tmp_path, server, listed, fix):
    world = World(tmp_path, server)
    (world.machine / "var/lib/apt/lists").mkdir(parents=True)
    (world.machine / "var/lib/apt/lists/x_Packages").write_text(listed)
    path = world.folder / "toolchain.toml"
    path.write_text(path.read_text() + f'[kernels.old]\narch = "x86_64"\nkernel = "6.1"\npool = "{GONE}"\nsha256 = "{"0" * 64}"\n')
    pin = toolchain.load(path).kernels["old"].file
    world.down(f"/debian/{GONE}")
    with pytest.raises(FetchError, match=r"kernel old \(Linux 6.1 for x86_64\) is gone from the pool of Debian's archives") as caught:
        obtain_header(pin, world.options(), world.heard)
    assert caught.value.fix.startswith(fix) and "snapshot.debian.org" in caught.value.fix
