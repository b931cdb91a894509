"""Pinned files of the project's own: read before the cache, refused when edited, served from it when gone."""

import os

import pytest
from archives import tar
from artifact_world import FILES, POOL, TREE, World, digest
from users import become

from ebpfbuild.errors import FetchError, MismatchError


def test_a_header_of_the_project_itself(world):
    with pytest.raises(FetchError, match="make it: bpftool btf dump file .* format c > vendor/vmlinux.h"):
        world.header("arm")
    (world.folder / "vendor").mkdir()
    (world.folder / "vendor/vmlinux.h").write_bytes(b"local\n")
    got = world.header("arm", offline=True, release=True)
    assert (got.path.read_bytes(), got.source) == (b"local\n", "vendor/vmlinux.h")
    (world.folder / "vendor/vmlinux.h").write_bytes(b"edited\n")
    got.path.unlink()
    with pytest.raises(MismatchError, match="vmlinux.arm.sha256: .*vendor/vmlinux.h does not hold the pinned"):
        world.header("arm")


LOCAL = b"local\n"
ARM = f'path = "vendor/vmlinux.h"\nsha256 = "{digest(LOCAL)}"\n'
OWN = {  # what stands in the pin instead of ARM or of libbpf's first source; the file that holds it
    "header": (ARM, ARM, LOCAL),
    "sized": (ARM, f"{ARM}size = 6\n", LOCAL),
    "archive": (ARM, ARM.replace("vmlinux.h", "h.tar.gz") + 'member = "a/b.h"\n', tar({"a/b.h": LOCAL})),
}
OWN["pinned archive"] = (ARM, OWN["archive"][1] + f'archive_sha256 = "{digest(OWN["archive"][2])}"\n', OWN["archive"][2])


@pytest.fixture(params=OWN)
def own(world, request):
    """A world whose header for arm is a file of the project's own, had once: the file."""
    old, new, data = OWN[request.param]
    world.pins(old, new)
    file = world.chain.header("arm").source.file
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    assert world.header("arm").path.read_bytes() == LOCAL
    return file


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes other users")
@pytest.mark.parametrize("store", ["another user's", "not there, in a folder of another user's"])
@pytest.mark.parametrize("kind", [*OWN, "tree"])
def test_a_file_of_the_project_needs_no_store_that_this_user_may_write(open_folder, server, kind, store):
    """As in an image whose store root has filled, and in a container without a home."""
    (open_folder / "project").mkdir()
    world = World(open_folder / "project", server)
    if kind == "tree":
        path, data = "vendor/libbpf.tar", tar({f"libbpf/src/{name}": text for name, text in FILES.items()})
        world.pins(f'url = "http://{server.host}/libbpf.tar.gz"\n', f'path = "{path}"\n')
    else:
        old, new, data = OWN[kind]
        world.pins(old, new)
        path = world.chain.header("arm").source.location
    (world.folder / path).parent.mkdir()
    (world.folder / path).write_bytes(data)
    if store == "another user's":
        world.cache.mkdir(0o755)

    def build():
        if kind == "tree":
            assert {name: file.read_bytes() for name, file in world.tree(offline=True).files.items()} == FILES
        else:
            assert world.header("arm", release=True).path.read_bytes() == LOCAL

    become(64001, [], 0o022, build)


@pytest.mark.parametrize("release", [False, True])
@pytest.mark.parametrize("inner", [b"locaL\n", b"local \n", b"and more of it\n" * 9])
def test_an_edited_file_of_the_project_is_refused_though_the_cache_has_the_pinned_bytes(world, own, inner, release):
    plain = own.name == "vmlinux.h"
    own.write_bytes(inner if plain else tar({"a/b.h": inner}))
    with pytest.raises(MismatchError, match="put back what it held or, if you trust what it holds now, write") as caught:
        world.header("arm", release=release)
    pin = world.chain.header("arm")
    now = digest(own.read_bytes()) if plain or pin.source.archive_sha256 else digest(inner)
    wanted = pin.source.archive_sha256 or pin.sha256
    assert caught.value.where.startswith(str(world.folder / "toolchain.toml:"))
    assert f"sha256 {wanted}" in caught.value.details[0] and f"sha256 {now}" in caught.value.details[1]
    lines = (world.folder / "toolchain.toml").read_text().splitlines()
    assert caught.value.details[2] in [line.replace(wanted, now) for line in lines if wanted in line]
    assert ("size = " in caught.value.details[-1]) == bool(pin.size)


def test_a_file_of_the_project_that_is_gone_is_served_with_a_notice_and_in_no_release(world, own):
    own.unlink()
    assert world.header("arm").path.read_bytes() == LOCAL
    assert f"vendor/{own.name} is gone: took vmlinux.h for arm" in world.heard.notices[-1]
    with pytest.raises(FetchError, match="can't be had; "):
        world.header("arm", release=True)
    own.symlink_to("nowhere")
    with pytest.raises(FetchError, match="can't be had; "):
        world.header("arm")


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("pinned", [False, True])
def test_an_archive_of_the_project_is_asked_before_the_cache(world, alone, pinned):
    good = tar({f"libbpf/src/{name}": data for name, data in FILES.items()})
    line = f'archive_sha256 = "{digest(good)}"\n' if pinned else ""
    first = f'url = "http://{world.server.host}/libbpf.tar.gz"\n'
    pool = f'[[libbpf.source]]\npool = "{POOL}"\nfolder = "usr/include/bpf"\n'
    world.pins(first, f'path = "vendor/libbpf.tar.gz"\n{line}', *([pool, ""] if alone else []))
    file = world.folder / "vendor/libbpf.tar.gz"
    file.parent.mkdir()
    file.write_bytes(good)
    assert world.tree().sha256 == world.tree(release=True).sha256 == TREE
    other = {f"libbpf/src/{name}": data.swapcase() for name, data in FILES.items()}
    file.write_bytes(tar(other))
    with pytest.raises(MismatchError, match="vendor/libbpf.tar.gz does not hold the pinned") as caught:
        world.tree()
    expected, got, paste = caught.value.details
    assert (digest(good) if pinned else TREE) in expected
    assert paste == f'{"archive_" if pinned else ""}sha256 = "{got.split()[2].rstrip(",")}"'
    file.unlink()
    assert world.tree().sha256 == TREE
    assert bool(world.heard.notices) == alone
    if alone:
        with pytest.raises(FetchError, match="put vendor/libbpf.tar.gz back"):
            world.tree(release=True)
    else:
        assert world.tree(release=True).sha256 == TREE, "another declared source has these bytes"
