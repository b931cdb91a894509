"""A vendor folder is written whole or not at all, has the same bytes each time, and replaces no folder of anybody's."""

import hashlib
import os
import subprocess
import sys
import zipfile

import pytest

from ebpfbuild.errors import VendorError
from ebpfbuild.vendor.folder import VendorContent, write_vendor
from ebpfbuild.vendor.manifest import read_vendor_manifest
from ebpfbuild.vendor.wheels import download_wheels, platforms, require_python

BLOBS = (b"one\n", b"two\n" * 1000)


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def blobs(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    for data in BLOBS:
        (folder / digest(data)).write_bytes(data)
    return folder


LONG = "charset_normalizer-3.5.2-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl"


def two_wheels(folder):
    (folder / "a-1-py3-none-any.whl").write_bytes(b"a wheel")
    (folder / LONG).write_bytes(b"one whose name ustar can't hold")


def content(add_wheels=two_wheels):
    return VendorContent(("x86_64",), ("3.11",), ("arm",), tuple(map(digest, BLOBS)), add_wheels)


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_folder_has_what_its_manifest_says(tmp_path, blobs):
    manifest = write_vendor(tmp_path / "v", content(), blobs)
    assert read_vendor_manifest(tmp_path / "v") == manifest
    found = snapshot(tmp_path / "v")
    assert set(found) == {*manifest.files, "vendor.json"}
    assert all(digest(found[path]) == sha256 for path, sha256 in manifest.files.items())
    assert f'href="a-1-py3-none-any.whl#sha256={digest(b"a wheel")}"' in found["wheels/index.html"].decode()


def test_the_same_bytes_at_another_time_place_and_umask(tmp_path, blobs):
    write_vendor(tmp_path / "v.tar", content(), blobs)
    for path in blobs.iterdir():
        os.utime(path, (1, 1))
    before = os.umask(0o077)
    try:
        write_vendor(tmp_path / "a longer" / "v.tar", content(), blobs)
    finally:
        os.umask(before)
    assert (tmp_path / "v.tar").read_bytes() == (tmp_path / "a longer" / "v.tar").read_bytes()
    subprocess.run(["tar", "xf", "v.tar"], cwd=tmp_path, check=True)
    write_vendor(tmp_path / "w", content(), blobs)
    assert snapshot(tmp_path / "v") == snapshot(tmp_path / "w") and f"wheels/{LONG}" in snapshot(tmp_path / "v")


def test_an_older_one_is_replaced_and_stays_where_the_new_one_fails(tmp_path, blobs):
    folder = tmp_path / "v"
    write_vendor(folder, content(lambda wheels: (wheels / "old-1-py3-none-any.whl").write_bytes(b"old")), blobs)
    former = snapshot(folder)

    def failing(wheels):
        raise VendorError("no network")

    with pytest.raises(VendorError):
        write_vendor(folder, content(failing), blobs)
    assert snapshot(folder) == former and sorted(os.listdir(tmp_path)) == ["store", "v"]
    write_vendor(folder, content(), blobs)
    assert not (folder / "wheels/old-1-py3-none-any.whl").exists() and sorted(os.listdir(tmp_path)) == ["store", "v"]


@pytest.mark.parametrize("make", [
    lambda path: (path.mkdir(), (path / "work").write_text("mine")), lambda path: path.write_text("mine"),
    lambda path: path.symlink_to(path.parent), lambda path: path.symlink_to("nowhere"),
])
def test_what_is_no_vendor_folder_stays(tmp_path, blobs, make):
    make(tmp_path / "v")
    with pytest.raises(VendorError, match="is there, and no vendor folder; name a new folder"):
        write_vendor(tmp_path / "v", content(), blobs)
    assert os.path.lexists(tmp_path / "v")


@pytest.mark.parametrize("target, reason", [("/proc/x/y", "No such file or directory"), ("store/v/v.tar", "File exists")])
def test_a_place_that_can_t_be_written_is_told_with_what_to_do(tmp_path, blobs, target, reason):
    (tmp_path / "store/v").write_text("a file")
    with pytest.raises(VendorError, match=f"can't be written: {reason}"):
        write_vendor(tmp_path / target, content(), blobs)


def test_a_blob_that_changed_in_the_store_does_not_get_out(tmp_path, blobs):
    (blobs / digest(BLOBS[0])).write_bytes(b"other\n")
    with pytest.raises(VendorError, match="changed in the store while it was copied"):
        write_vendor(tmp_path / "v", content(), blobs)
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("python", ["", "3", "3.10", "3.x", "2.7", "3.11.2", "²", "3.²"])
def test_no_python_of_ours(python):
    with pytest.raises(VendorError, match="no Python that sconsw runs with"):
        require_python(python)


def test_a_platform_tag_for_each_glibc():
    assert platforms("aarch64")[0] == "manylinux1_aarch64" and "manylinux_2_28_aarch64" in platforms("aarch64")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder with wheels of two machines, where pip looks and nowhere else; a function: name -> a lock of it."""
    pytest.importorskip("pip")
    wheels = tmp_path / "index"
    wheels.mkdir()
    for machine in ("x86_64", "aarch64"):
        with zipfile.ZipFile(wheels / f"tiny-1-cp313-cp313-manylinux_2_17_{machine}.whl", "w") as wheel:
            wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
            wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp313-cp313-manylinux_2_17_x86_64\n")
            wheel.writestr("tiny-1.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    hashes = " ".join(f"--hash=sha256:{digest(path.read_bytes())}" for path in wheels.iterdir())
    lock = tmp_path / "some.lock"
    lock.write_text(f'tiny==1 ; python_version >= "3.12" {hashes}\n')
    return lock


def test_wheels_of_another_machine_and_python(tmp_path, index):
    got = tmp_path / "got"
    download_wheels([index], "aarch64", "3.13", got)
    assert os.listdir(got) == ["tiny-1-cp313-cp313-manylinux_2_17_aarch64.whl"]
    download_wheels([index], "aarch64", "3.11", tmp_path / "none")  # its marker says that 3.11 needs none
    with pytest.raises(VendorError, match="can't get the wheels for riscv64 with Python 3.13; check the network") as caught:
        download_wheels([index], "riscv64", "3.13", got)
    assert "tiny" in str(caught.value)


def test_a_wheel_with_another_digest_is_refused(tmp_path, index):
    index.write_text(f"tiny==1 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(VendorError, match="can't get the wheels"):
        download_wheels([index], "aarch64", "3.13", tmp_path / "got")


def test_set_up_names_a_folder_of_another_machine(tmp_path, blobs):
    write_vendor(tmp_path / "v", VendorContent(("riscv64",), ("3.99",), (), (), lambda folder: None), blobs)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    command = [sys.executable, "-I", f"{root}/site_scons/fetch_pip", "--vendored", str(tmp_path / "v"), root, "pip.lock"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "is for riscv64 with Python 3.99; this is" in done.stderr and "make it anew with HOSTS=" in done.stderr
