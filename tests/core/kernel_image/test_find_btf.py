"""BTF out of whatever holds a kernel: boot images of each kind and compression, packages, modules; damaged ones."""

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from archives import deb, tar
from btfwriter import assemble, info
from ebpfbuild.btf.modules import Modules
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import Kind
from ebpfbuild.errors import ArchiveError, BtfError, EbpfError, ElfError, KernelImageError
from ebpfbuild.kernel_image import boot_formats
from ebpfbuild.kernel_image.find_btf import find_btf
from ebpfbuild.kernel_image.modules import package_modules
from ebpfbuild.kernel_image.open_btf import BtfCache, open_btf
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_images import COMPRESSORS, bzimage, elf, flat_image, kernel_btf, kernel_deb, rpm, zboot, zimage

VMLINUX = elf({".text": b"\x90" * 5000, ".BTF": kernel_btf(), ".data": bytes(100)})


def test_a_blob_an_elf_file_of_any_class_and_byte_order_and_a_flat_image():
    assert find_btf(kernel_btf(), "x").data == kernel_btf()
    assert find_btf(kernel_btf(">"), "x").data == kernel_btf(">")
    for wide in (True, False):
        for order in "<>":
            assert find_btf(elf({".BTF": kernel_btf(order)}, wide, order), "x").data == kernel_btf(order)
    found = find_btf(flat_image(kernel_btf()), "Image")
    assert (found.data, found.inside.startswith("byte ")) == (kernel_btf(), True)
    assert find_btf(flat_image(kernel_btf(">")), "Image").data == kernel_btf(">")


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_boot_image_whatever_it_is_compressed_with(name):
    packed = COMPRESSORS[name](VMLINUX)
    for image in (packed, bzimage(packed), zboot(packed), zimage(packed), kernel_deb(bzimage(packed))):
        assert find_btf(image, "x").data == kernel_btf()
    flat = COMPRESSORS[name](flat_image(kernel_btf()))
    assert find_btf(zimage(flat), "x").data == find_btf(zboot(flat), "x").data == kernel_btf()
    assert find_btf(rpm({"./lib/modules/6.12/config": b"x", "./lib/modules/6.12/vmlinuz": zboot(flat)},
                        COMPRESSORS["gzip"]), "x").data == kernel_btf()  # fmt: skip


def test_a_big_payload_comes_out_of_many_blocks():
    vmlinux = elf({".text": os.urandom(1 << 20) * 9, ".BTF": kernel_btf()})
    for name in ("lz4", "gzip", "zstd"):
        assert find_btf(bzimage(COMPRESSORS[name](vmlinux)), "x").data == kernel_btf()


def test_where_the_btf_was_is_told():
    found = find_btf(kernel_deb(bzimage(COMPRESSORS["xz"](VMLINUX))), "linux.deb")
    assert found.inside == "boot/vmlinuz-6.12-amd64: payload at byte 2236: .BTF"


@pytest.mark.parametrize("compress", [COMPRESSORS["xz"], COMPRESSORS["zstd"], bytes])
def test_an_rpm_and_a_member_that_is_named(compress):
    files = {"./usr/lib/debug/lib/modules/6.12/vmlinux": VMLINUX, "./lib/odd/kernel.img": zboot(COMPRESSORS["gzip"](VMLINUX))}
    assert find_btf(rpm(files, compress), "x").inside == "usr/lib/debug/lib/modules/6.12/vmlinux: .BTF"
    assert find_btf(rpm(files, compress), "x", "lib/odd/kernel.img").inside.startswith("lib/odd/kernel.img: payload")
    deb = kernel_deb(VMLINUX, "usr/share/odd")
    assert find_btf(deb, "x", "usr/share/odd").data == kernel_btf()
    with pytest.raises(KernelImageError, match="x.deb: holds no kernel; name the file with member"):
        find_btf(deb, "x.deb")
    with pytest.raises(KernelImageError, match="holds no usr/none"):
        find_btf(deb, "x", "usr/none")


NOTHING = {
    "empty": (b"", "holds no BTF"),
    "text": (b"#!/bin/sh\nexit 0\n", "holds no BTF; take a kernel with CONFIG_DEBUG_INFO_BTF=y"),
    "a kernel without BTF": (bzimage(COMPRESSORS["gzip"](elf({".text": b"x"}))), "holds no BTF in payload at byte 2236"),
    "a BTF that is no kernel's": (flat_image(b""), "holds no BTF"),
    "a BPF object": (elf({".BTF": kernel_btf()}, machine=247), "is a BPF object, and no kernel; take a kernel's vmlinux"),
    "a BPF object of the other byte order": (elf({".BTF": kernel_btf(">")}, order=">", machine=247), "is a BPF object, and no kernel"),
    "a packed BPF object": (COMPRESSORS["gzip"](elf({".BTF": kernel_btf()}, machine=247)), "is a BPF object, and no kernel"),
    "archives in archives": (kernel_deb(kernel_deb(kernel_deb(kernel_deb(kernel_deb(kernel_deb(VMLINUX)))))), "archives in archives"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_what_holds_no_btf_says_so(name):
    data, message = NOTHING[name]
    with pytest.raises(KernelImageError, match=message) as caught:
        find_btf(data, "x.img")
    assert str(caught.value).startswith("x.img: ")


BROKEN = {
    "a cut deb": (kernel_deb(VMLINUX)[:-100], ArchiveError, "is cut short"),
    "a cut payload": (bzimage(COMPRESSORS["xz"](VMLINUX)[:-50])[:-300], ArchiveError, "data that can.t be read: it ends in the middle"),
    "an rpm without a header": (rpm({})[:96] + bytes(20), ArchiveError, "without a header at byte 96"),
    "a cut rpm": (rpm({"a": b"a" * 9}, bytes)[:-200], ArchiveError, "is cut short at byte"),
    "an ELF file without sections' names": (VMLINUX[:60] + b"\x09\0" + VMLINUX[62:], ElfError, "section headers at byte"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_damaged_is_told_with_its_place(name):
    data, error, message = BROKEN[name]
    with pytest.raises(error, match=message) as caught:
        find_btf(data, "x.img")
    assert str(caught.value).startswith("x.img: ") and "get it again" in caught.value.fix


@pytest.mark.parametrize("data", [kernel_btf()[:-1], kernel_btf()[:10]])
def test_a_kernel_s_btf_that_is_damaged_isn_t_to_be_compiled_anew(tmp_path, data):
    (tmp_path / "k.btf").write_bytes(data)
    with pytest.raises(BtfError, match="k.btf: .*; it is damaged or no kernel's: get it again") as caught:
        open_btf(tmp_path / "k.btf")
    assert "\n" not in str(caught.value)


def test_a_small_image_can_not_unpack_to_everything(monkeypatch):
    monkeypatch.setattr(boot_formats, "MAX_KERNEL_SIZE", 1 << 20)
    for name in COMPRESSORS:
        with pytest.raises(ArchiveError, match="unpacks to more than 1048576 bytes"):
            find_btf(zboot(COMPRESSORS[name](bytes(4 << 20))), "x")


SEEDS = [
    VMLINUX,
    flat_image(kernel_btf()),
    kernel_deb(bzimage(COMPRESSORS["gzip"](VMLINUX))),
    rpm({"boot/vmlinuz": zboot(COMPRESSORS["zstd"](VMLINUX))}),
    *(zimage(compress(VMLINUX)) for compress in COMPRESSORS.values()),
]


@given(st.sampled_from(SEEDS), EDITS)
@settings(max_examples=300, deadline=None)
def test_a_damaged_image_gives_btf_or_an_error(seed, edits):
    started = time.process_time()
    try:
        assert find_btf(mutate(seed, edits), "x").data
    except EbpfError as error:
        assert "\n" not in error.what and error.where == "x"
    assert time.process_time() - started < 2


@given(st.sampled_from([b"", b"MZ\0\0zimg", b"\x7fELF\2\1\1", b"\xed\xab\xee\xdb", b"!<arch>\n", b"\x02\x21\x4c\x18"]),
       st.binary(max_size=300))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_btf_or_an_error(head, data):
    try:
        find_btf(head + data, "x")
    except EbpfError as error:
        assert error.where == "x"


def test_a_module_is_read_on_its_kernel(tmp_path):
    kernel = tmp_path / "vmlinux"
    kernel.write_bytes(VMLINUX)
    base = open_btf(kernel)
    at = base.strings_end
    rows = [(0, info(Kind.STRUCT, 1), 8, at + 4, 4, 0), (None, info(Kind.PTR), 2)]
    (tmp_path / "mod.ko").write_bytes(COMPRESSORS["zstd"](elf({".BTF": assemble(rows, ("mod", "task"), at=at)})))
    module = open_btf(tmp_path / "mod.ko", base)
    assert module[module[module.find("mod").members[0].type].type].name == "task_struct"
    with pytest.raises(BtfError, match=r"mod.ko: is split BTF, as a module's is, without its base"):
        open_btf(tmp_path / "mod.ko")


def test_a_file_that_can_not_be_read(tmp_path):
    with pytest.raises(KernelImageError, match="vmlinux: can't be read: No such file"):
        open_btf(tmp_path / "vmlinux")
    with pytest.raises(KernelImageError, match="can't be read: is a folder, not a file"):
        open_btf(tmp_path)


def test_a_large_file_is_mapped(tmp_path):
    kernel = tmp_path / "vmlinux"
    with kernel.open("wb") as out:
        out.write(elf({".text": bytes(17 << 20), ".BTF": kernel_btf()}))
    assert open_btf(kernel).find("task_struct").size == 4


@pytest.mark.parametrize("data", [VMLINUX, kernel_deb(VMLINUX), rpm({"./boot/vmlinuz": bzimage(COMPRESSORS["gzip"](VMLINUX))}, bytes), bzimage(COMPRESSORS["gzip"](VMLINUX))])
def test_whatever_is_large_is_read_where_it_is_mapped(tmp_path, monkeypatch, data):
    monkeypatch.setattr("ebpfbuild.kernel_image.open_btf.MAPPED", 0)
    (tmp_path / "kernel").write_bytes(data)
    assert open_btf(tmp_path / "kernel").find("task_struct").size == 4


def test_dwarf_alone_is_for_pahole(tmp_path):
    kernel = tmp_path / "vmlinux"
    kernel.write_bytes(elf({".debug_info": b"x"}))
    there = shutil.which("pahole", path="/usr/bin:/bin")
    message = "pahole made no BTF of its DWARF" if there else r"has DWARF and no BTF; install pahole \(Debian's"
    with pytest.raises(KernelImageError, match=message):
        open_btf(kernel)


@pytest.mark.skipif(not shutil.which("pahole", path="/usr/bin:/bin"), reason="no pahole on this machine")
@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc on this machine")
def test_pahole_makes_btf_of_dwarf(tmp_path):
    (tmp_path / "k.c").write_text("struct task_struct { int pid; char name[16]; } init_task; int main(void) { return 0; }")
    subprocess.run(["gcc", "-g", "-o", "vmlinux", "k.c"], cwd=tmp_path, check=True)
    found = open_btf(tmp_path / "vmlinux").find("task_struct", Kind.STRUCT)
    assert [member.name for member in found.members] == ["pid", "name"]


def facts():
    """A ledger's `fact`, in memory, and how often it had to find."""
    known = {}

    def fact(key, find):
        if key not in known:
            known[key] = find()
        return known[key]

    return fact


def test_the_release_is_the_file_s_own_word_then_the_package_s_then_the_name_s(tmp_path):
    """The same bytes under another name aren't that name's: what is kept goes by their digest."""
    bare, fact = kernel_btf(), facts()
    packed = deb(tar({"./boot/vmlinuz-6.12.9-cloud": bzimage(COMPRESSORS["gzip"](VMLINUX))}, "w:xz"))
    files = {"5.4.0-91-generic.btf": bare, "other.btf": bare, "k.deb": packed, "linux-5.1.deb": packed}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for _ in range(2):  # found, and then kept
        cache = BtfCache(tmp_path / "store", fact)
        found = [cache.release(tmp_path / name, hashlib.sha256(data).hexdigest()) for name, data in files.items()]
        assert found == ["5.4.0", "", "6.12.9", "6.12.9"]


def test_what_was_found_is_kept_and_believed_by_the_recorded_digest_alone(tmp_path):
    kernel, store, fact = tmp_path / "vmlinuz", tmp_path / "store", facts()
    kernel.write_bytes(bzimage(COMPRESSORS["gzip"](VMLINUX)))
    assert BtfCache(store, fact).get(kernel, "ab" * 32).find("task_struct").size == 4
    kernel.unlink()
    assert BtfCache(store, fact).get(kernel, "ab" * 32).find("task_struct").size == 4
    (kept,) = (store / "btf").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    with pytest.raises(KernelImageError, match="can't be read"):  # it isn't believed: the kernel is asked again
        BtfCache(store, fact).get(kernel, "ab" * 32)
    with pytest.raises(KernelImageError, match="can't be read"):  # nor is a file that this project didn't record
        BtfCache(store, facts()).get(kernel, "ab" * 32)


@pytest.mark.parametrize("name", ["xz", "gzip", "zstd", ""])
def test_the_modules_of_a_package_are_found_kept_and_believed_by_digest(tmp_path, name):
    base = Btf.parse(kernel_btf(), "", None)
    strings = base.strings_end
    own = assemble([(0, info(Kind.STRUCT, 1), 4, strings + 4, 1, 0)], ("mod", "pid"), at=strings)
    by_base = assemble([(None, info(Kind.TYPEDEF), 2)], ("",), at=strings)  # its name is one of the kernel's: task_struct
    by_base = by_base[:24] + (5).to_bytes(4, "little") + by_base[28:]
    distilled = assemble([(1, info(Kind.STRUCT), 4)], ("", "task_struct"))
    outside = assemble([(0, info(Kind.TYPEDEF), 1)], ("outside",), at=13)
    modules = {"a-b": elf({".BTF": own}), "named": elf({".BTF": by_base}), "none": elf({".text": b"x"}), "damaged": b"\x7fELF",
               "out": elf({".BTF": outside, ".BTF.base": distilled})}  # fmt: skip
    pack, suffix = (COMPRESSORS[name], {"xz": ".xz", "gzip": ".gz", "zstd": ".zst"}[name]) if name else (bytes, "")
    files = {f"./usr/lib/modules/6.12/kernel/net/{each}.ko{suffix}": pack(data) for each, data in modules.items()}
    path, store, fact = tmp_path / "linux.deb", tmp_path / "store", facts()
    path.write_bytes(deb(tar({"./boot/vmlinuz-6.12": bzimage(COMPRESSORS["gzip"](VMLINUX)), **files})))
    told = []
    for _ in range(2):
        found = BtfCache(store, fact, "", told.append).modules(path, "ab" * 32, base)
        assert [(kind.btf.where, kind.members[0].name) for kind in found.named("mod")] == [("a_b", "pid")]
        assert [kind.kind for kind in found.named("task_struct", module="named")] == [Kind.TYPEDEF]
        assert [(kind.btf.where, base[kind.type].name) for kind in found.named("outside")] == [("out", "task_struct")]
        assert found.named("mod", module="named") == found.named("mod", module="nothing") == found.named("gone") == []
    assert told == ["linux.deb: reading its modules, once"]
    (kept,) = (store / "btf").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"pid", b"pod"))
    assert BtfCache(store, fact).modules(path, "ab" * 32, base).named("mod")[0].members[0].name == "pid"
    for other in (VMLINUX, deb(tar({"./boot/vmlinuz-7.3": VMLINUX}))):  # since 6.19 they have a package of their own
        path.write_bytes(other)
        assert BtfCache(store, facts()).modules(path, "cd" * 32, base) is None


@settings(max_examples=20, deadline=None)
@given(number_edits=EDITS)
def test_damaged_modules_end_in_an_error_of_ours(number_edits):
    base = Btf.parse(kernel_btf(), "", None)
    own = assemble([(0, info(Kind.STRUCT, 1), 4, base.strings_end + 4, 1, 0)], ("mod", "pid"), at=base.strings_end)
    module = mutate(elf({".BTF": own}), number_edits)
    try:
        parts = package_modules(mutate(kernel_deb(VMLINUX), number_edits)) | package_modules(deb(tar({"./lib/x.ko": module})))
        for kind in Modules(parts, base).named("mod"):
            assert kind.btf.where == "x"
    except EbpfError:
        pass


def test_a_store_that_can_not_be_written_serves_all_the_same(tmp_path):
    kernel = tmp_path / "vmlinux"
    kernel.write_bytes(VMLINUX)
    (tmp_path / "store").write_text("a file")
    assert BtfCache(tmp_path / "store", facts()).get(kernel, "ab" * 32).find("task_struct")


@pytest.mark.skipif(not Path("/sys/kernel/btf/vmlinux").exists(), reason="this kernel shows no BTF")
def test_this_kernel_s_own():
    btf = open_btf("/sys/kernel/btf/vmlinux")
    assert btf.find("task_struct", Kind.STRUCT).size > 1000 and btf.pointer in (4, 8)
