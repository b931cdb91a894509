"""What a guest boots: the initramfs' bytes, the userland out of packages, a kernel's image and modules."""

import gzip
import hashlib
import json
import random
import stat
import struct
import subprocess
import sys
import tarfile

import pytest
from archives import deb, tar
from ebpfbuild.archive.deb_tree import deb_entries
from ebpfbuild.boot.bytecode import Interpreter, as_bytecode, with_bytecode
from ebpfbuild.boot.cpio import Device, File, Symlink, cpio
from ebpfbuild.boot.derived import Derived
from ebpfbuild.boot.initramfs import GUEST, GuestObject, task_files
from ebpfbuild.boot.modules import bootable, depends, kernel_files
from ebpfbuild.boot.userland import python_of, userland
from ebpfbuild.errors import ArchiveError, BootError
from hypothesis import given, strategies as st
from kernel_images import elf

NAMES = st.lists(st.text("abc.-_é", min_size=1, max_size=12).filter(lambda name: name not in (".", "..")), min_size=1, max_size=4)
ENTRIES = st.one_of(
    st.builds(File, st.binary(max_size=40), st.integers(0, 0o777)),
    st.builds(Symlink, st.text("abc/", min_size=1)),
    st.builds(Device, st.integers(0, 255), st.integers(0, 255), st.integers(0, 0o777)),
)


def unpacked(data: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """Reads a newc archive: mode, content and device numbers by path, in its order."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(13)]
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        start = at + (110 + fields[11] + 3) // 4 * 4
        at = start + (fields[6] + 3) // 4 * 4
        if name == "TRAILER!!!":
            assert at == len(data)
            return found
        assert name not in found and fields[2:4] == [0, 0] and fields[5] == 0  # root's, of the epoch
        found[name] = fields[1], data[start : start + fields[6]], (fields[9], fields[10])


@given(st.dictionaries(NAMES.map("/".join), ENTRIES, max_size=8), st.randoms(use_true_random=False))
def test_an_initramfs_holds_all_that_was_given_in_an_order_of_its_own(tree, chance: random.Random):
    inner = {path for path in tree if any(other.startswith(f"{path}/") for other in tree)}
    tree = {path: entry for path, entry in tree.items() if path not in inner}
    data = cpio(tree)
    shuffled = list(tree.items())
    chance.shuffle(shuffled)
    assert cpio(dict(shuffled)) == data
    found = unpacked(data)
    assert {path for path, (mode, _, _) in found.items() if not stat.S_ISDIR(mode)} == set(tree)
    for path, entry in tree.items():
        mode, content, device = found[path]
        if isinstance(entry, File):
            assert (mode, content) == (stat.S_IFREG | entry.mode, entry.data)
        elif isinstance(entry, Symlink):
            assert (mode, content) == (stat.S_IFLNK | 0o777, entry.target.encode())
        else:
            assert (mode, device) == (stat.S_IFCHR | entry.mode, (entry.major, entry.minor))
    order = list(found)
    assert all(order.index(path.rpartition("/")[0]) < order.index(path) for path in found if "/" in path)


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


PYTHON = deb(tar({
    "./usr/bin/python3.13": b"#!", "./usr/lib/python3.13/os.py": b"x = 1\n", "./usr/lib/python3.13/broken.py": b"x = (\n",
    "./usr/lib/python3.13/test/a.py": b"", "./usr/share/doc/python3/README": b"",
}, "w:xz"))  # fmt: skip
# A C library whose program loader has this machine's Python run what the guest's would.
LIBC = deb(tar({"./usr/lib64/ld-fake.so.2": b'#!/bin/sh\nunset PYTHONHOME\nshift 3\nexec python3 "$@"\n', "./lib/x86_64-linux-gnu/libc.so.6": b"c"},
               "w:xz", [link("./usr/lib/x86_64-linux-gnu/libm.so", "libc.so.6")]))  # fmt: skip


def userland_of(*packages):
    return userland([(f"p{number}", data) for number, data in enumerate(packages)])


def with_loader(tree):
    return {**tree, "usr/lib64/ld-fake.so.2": tree["usr/lib64/ld-fake.so.2"]._replace(mode=0o755)}


def test_a_userland_is_packages_without_documents_and_tests_under_a_merged_usr():
    tree = userland_of(PYTHON, LIBC)
    assert python_of(tree) == "usr/bin/python3.13"
    assert tree["lib"] == Symlink("usr/lib") and tree["dev/console"] == Device(5, 1)
    assert tree["usr/lib/x86_64-linux-gnu/libc.so.6"].data == b"c" and tree["usr/lib/x86_64-linux-gnu/libm.so"] == Symlink("libc.so.6")
    assert not [path for path in tree if "doc" in path or "/test/" in path]
    assert cpio(tree) == cpio(userland_of(PYTHON, LIBC))


def test_bytecode_is_made_by_the_guests_own_python_and_is_the_same_each_time():
    tree = with_loader(userland_of(PYTHON, LIBC))
    with Interpreter(tree) as interpreter:
        found = with_bytecode(tree, interpreter)
        again = with_bytecode(tree, interpreter)
        alone = as_bytecode(tree, interpreter)
    made = [path for path in found if path not in tree]
    assert made == ["usr/lib/python3.13/__pycache__/os.cpython-313.pyc"]  # what can't be compiled has none
    bare = {path: entry for path, entry in tree.items() if path != "usr/lib/python3.13/os.py"}
    assert alone == {**bare, "usr/lib/python3.13/os.pyc": found[made[0]]}
    assert found == again and found[made[0]].data[4:8] == struct.pack("<I", 1)  # unchecked: by no file's time


def test_a_userland_without_a_python_says_so():
    with Interpreter(userland_of(LIBC)) as interpreter, pytest.raises(BootError, match="hold no Python or no C library"):
        interpreter.compiled({"a.py": b""})


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x"])
def test_a_package_that_points_out_of_itself_is_refused(name):
    with pytest.raises(ArchiveError, match="^p: holds '.*', which points outside of it"):
        list(deb_entries(deb(tar({name: b""}, "w:xz")), where="p"))


@pytest.mark.parametrize("data", [b"", b"!<arch>\n", PYTHON[:-30], deb(b"no tar"), PYTHON[:100] + bytes(50) + PYTHON[150:]])
def test_a_damaged_package_is_an_error_of_ours(data):
    with pytest.raises(ArchiveError):
        list(deb_entries(data, where="p"))


def module(needs: str) -> bytes:
    return elf({".modinfo": b"license=GPL\0depends=" + needs.encode() + b"\0name=x\0"})


def test_a_kernel_gives_its_image_and_wanted_modules_behind_what_they_need():
    files = {
        "./boot/vmlinuz-6.1": b"image", "./boot/config-6.1": b"",
        "./lib/modules/6.1/kernel/a-b.ko": module("c,built_in"), "./lib/modules/6.1/kernel/net/c.ko": module("d"),
        "./usr/lib/modules/6.1/kernel/d.ko": module(""), "./lib/modules/6.1/kernel/other.ko": module(""),
    }  # fmt: skip
    found = kernel_files([("k", deb(tar(files, "w:xz")))], "", ("a_b", "nowhere", "c"))
    assert found.image == b"image" and list(found.modules) == ["d", "c", "a_b"]
    assert depends(found.modules["a_b"]) == ["c", "built_in"]
    split = [("k", deb(tar({"./usr/lib/modules/7/vmlinuz": b"seven"}, "w:xz"))), ("m", deb(tar({name: files[name] for name in list(files)[2:]}, "w:xz")))]
    assert kernel_files(split, "", ("c",)) == (b"seven", {name: found.modules[name] for name in ("d", "c")})
    assert kernel_files([("image", b"bare")], "") == (b"bare", {})


NOTE = struct.pack("<III4sQ", 4, 8, 18, b"Xen\0", 0x1000000)


@pytest.mark.parametrize("notes, unpacked", [
    (NOTE, True), (struct.pack("<III8s", 5, 0, 18, b"Other\0") + NOTE, True), (struct.pack("<III4s", 4, 0, 17, b"Xen\0"), False),
    (NOTE[:8], False), (struct.pack("<III", 0xFFFFFFFF, 0, 18), False), (b"", False),
])  # fmt: skip
def test_a_kernel_that_can_be_entered_by_itself_is_booted_unpacked(notes, unpacked):
    vmlinux = elf({".notes": notes, ".text": b"x" * 64})
    payload = gzip.compress(vmlinux, mtime=0)
    image = bytearray(0x410) + payload  # a boot sector and one of setup code stand in front
    image[0x1F1], image[0x202:0x206], image[0x248:0x250] = 1, b"HdrS", struct.pack("<II", 16, len(payload))
    assert bootable(bytes(image)) == (vmlinux if unpacked else bytes(image))


def test_a_package_without_an_image_says_what_to_name():
    with pytest.raises(BootError, match="k: holds no boot image; name its path in the package: member"):
        kernel_files([("k", deb(tar({"./boot/config": b""}, "w:xz")))], "")
    with pytest.raises(BootError, match="k: holds no boot/other"):
        kernel_files([("k", deb(tar({"./boot/vmlinuz-6": b"x"}, "w:xz")))], "boot/other")


def test_what_was_derived_is_made_anew_once_it_is_damaged(tmp_path):
    made, derived = [], Derived(tmp_path / "made")

    def make():
        made.append(1)
        return b"data" * 100

    assert derived.get("key", make) == derived.get("key", make) == b"data" * 100 and len(made) == 1
    path = tmp_path / "made" / "key"
    for damage in (path.read_bytes()[:-1], path.read_bytes()[:70] + b"X" + path.read_bytes()[71:], b""):
        path.write_bytes(damage)
        assert derived.get("key", make) == b"data" * 100
    assert len(made) == 4


def test_a_guest_s_task_names_each_object_with_its_digest_and_its_loader():
    objects = [GuestObject(f"build/{name}.bpf.o", name.encode(), {"p": "xdp"}, f"wheel{name}", f"{name}.bpfloader") for name in "ab"]
    found = unpacked(task_files({"nonce": "x"}, objects))
    task = json.loads(found["task/task.json"][1])
    assert task["nonce"] == "x" and [row["loader"] for row in task["objects"]] == ["a.bpfloader", "b.bpfloader"]
    for row, each in zip(task["objects"], objects):
        assert found[row["file"].lstrip("/")][1] == each.data and row["sha256"] == hashlib.sha256(each.data).hexdigest()
        assert row["path"] == [f"/task/{each.python}"]


def test_a_guest_imports_nothing_that_only_a_failure_needs():
    rare = "traceback", "hashlib", "glob", "subprocess", "inspect", "logging"
    code = f"import sys; sys.path.insert(0, sys.argv[1]); import guest.init, guest.probe; print(set({rare}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-IS", "-c", code, GUEST.parent], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
