"""Whatever the kernel or libbpf refuses with, the error has a next step, and it isn't to read libbpf's messages."""

import errno
import functools
import re
import sys

import bpfloader
import pytest
from bpfloader.diagnose import libbpf_messages
from bpfloader.diagnose.attach_target import FAULT_FINDERS
from bpfloader.diagnose.map_rules import RULES, map_fix
from bpfloader.diagnose.refusal import attach_refused, load_refused
from bpfloader.errors import ENOTSUPP, LIBBPF_ERRNOS, CallError
from bpfloader.kernel.versions import map_types, section_kinds
from bpfloader.libbpf.pin import pin_to
from bpfloader.libbpf.prototypes import failure
from bpfloader.map.info import FIXES
from bpfloader.object.open import _open_error

NUMBERS = [*sorted(errno.errorcode), ENOTSUPP, *LIBBPF_ERRNOS, 4999]
SECTIONS = [kind.section for kind in section_kinds()] + ["", "odd/section", "?tp/a/b"]
REQUESTS = {
    "uprobe": {"binary": "libc.so.6", "function": "malloc", "offset": 0, "pid": -1},
    "usdt": {"binary": "libc.so.6", "provider": "libc", "name": "none", "pid": -1},
    "xdp": {"interface": 1, "mode": "native"},
    "tc": {"interface": 1, "link": False},
    "tcx": {"interface": 1, "link": True},
    "cgroup": {"cgroup": "/sys/fs/cgroup"},
    "sk_lookup": {"namespace": "/proc/self/ns/net"},
    "perf_event": {"event": (1, 0), "cpu": 0, "frequency": 9, "pid": -1},
}
# As libbpf prints them (src/libbpf.c of 1.0 to 1.7), with names in the place of what varies.
OPEN_LINES = """\
elf: legacy map definitions in 'maps' section are not supported by libbpf v1.0+
map 'name': invalid pinning value 2.
map 'name': can't determine key size for type [6]: -22.
map 'name': conflicting value size 8 != 4.
map 'name': unknown field 'colour'.
map 'name': map type isn't specified.
map 'name': inner def can't be pinned.
map 'name': multi-level inner maps not supported.
map 'name': should be map-in-map or prog-array.
map 'name': unsupported map linkage static.
map 'name': only single ARENA map is supported (map 'other' is also ARENA)
elf: sec '.addr_space.1': declared ARENA map size (4096) is too small to hold global __arena variables of size 8192
elf: sec '.addr_space.1': to use global __arena variables the ARENA map should be explicitly declared in SEC(".maps")
BTF is required, but is missing or corrupted.
invalid license section in x.bpf.o
invalid kver section in x.bpf.o
elf: couldn't find symbol table in x.bpf.o, stripped object file?
extern function name is unsupported under .kconfig section
prog 'name': no .text section found yet sub-program call exists
failed to find BTF for extern 'name': -2
sec 'xdp': program 'name' is static and not supported
map 'name': attr 'map_extra': expected PTR, got enum64.
prog 'p': bad map relo against 'name' in section '.addr_space.1'
prog 'p': bad map relo against '.bss.name' in section '.bss.name'
struct_ops reloc name: prog other is not struct_ops BPF program
""".splitlines()
LOAD_LINES = """\
prog 'name': missing BPF prog type, check ELF section name 'odd'
prog 'name': failed to find kernel BTF type ID of 'tcp_x': -3
extern (func ksym) 'name': not found in kernel or module BTFs
extern (var ksym) 'name': not found in kernel BTF
failed to open system Kconfig
couldn't reuse pinned map at '/sys/fs/bpf/name': parameter mismatch
couldn't retrieve pinned map '/sys/fs/bpf/name': -13
failed to mkdir /sys/fs/bpf/a/b/name: No such file or directory
map 'name': failed to auto-pin at '/sys/fs/bpf/name': -22
prog 'name': attach program FD is not set
prog 'name': no BTF-based attach target is specified, use bpf_program__set_attach_target()
prog 'name': SEC("struct_ops") program isn't referenced anywhere, did you forget to use it?
prog 'name': subprog 'other' arg#0 is expected to be of `struct xdp_md *` type
extern (kcfg) 'name': value 'y' implies bool, tristate, or char type
failed to parse 'name': no separator
extern (func ksym) 'name': func_proto [7] incompatible with vmlinux [8]
extern (ksym) 'name': resolution is ambiguous: 0xffff or 0xfffe
.maps relo #0: 'name' isn't a valid program reference
struct_ops init_kern: struct name is not found in kernel BTF
Error in bpf_object__probe_loading(): EPERM. Couldn't load trivial BPF program. Make sure your kernel supports BPF.
""".splitlines()
ATTACH_LINES = """\
usdt: failed to find USDT support BPF maps, did you forget to include bpf/usdt.bpf.h?
usdt: attaching to shared libraries without specific PID is not supported on current kernel
usdt: attaching to 32-bit ELF binary '/bin/name' is not supported
usdt: unrecognized arg #0 spec '4@name'
usdt: unsupported arg #0 (spec '16@name') size: 16
usdt: unrecognized register 'name'
usdt: too many USDT arguments (> 12) for 'a:b' with args spec '...'
usdt: kernel doesn't support USDT semaphore refcounting for 'a:b' in '/bin/name'
""".splitlines()
MESSAGES = ["", "libbpf: prog 'f': failed to attach: error -22\n", "libbpf: something that nobody has heard of: 7\n"]


def require_step(error: bpfloader.BpfError) -> None:
    """A next step in the same line, which sends nobody to lines that follow."""
    line = str(error).splitlines()[0]
    assert error.fix.strip() and line.endswith(f"; {error.fix}") and "; ;" not in line, line
    assert not re.search(r"see libbpf|libbpf's messages|\(\)|: ;|\{\d?\}", line), line


@pytest.fixture
def cached_btf(monkeypatch):
    """The kernel's BTF, read once: each refusal reads it anew."""
    from bpfloader.btf import kernel

    monkeypatch.setattr(kernel, "kernel_types", functools.lru_cache(kernel.kernel_types))


def refused_attach(number: int, section: str) -> bpfloader.BpfError:
    request = next((value for key, value in REQUESTS.items() if section.startswith(key)), None)
    return attach_refused("f", CallError("failed", errno=number), [MESSAGES[number % 3]], section, request)


@pytest.mark.parametrize("section", ["", *FAULT_FINDERS, *REQUESTS])
def test_every_errno_of_an_attach(libbpf, section):
    for number in NUMBERS:
        require_step(refused_attach(number, section))


def test_every_kind_of_program_with_the_errnos_that_are_explained(libbpf):
    few = [errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.EEXIST, ENOTSUPP, errno.ENOTTY, 4999]
    for section in SECTIONS:
        for number in few:
            require_step(refused_attach(number, section))


@pytest.mark.parametrize("text", [
    "", "libbpf: prog 'f': BPF program load failed: Invalid argument\n", "libbpf: map 'm': failed to create: Invalid argument(-22)\n",
    "libbpf: prog 'f': missing BPF prog type, check ELF section name 'odd'\n", "libbpf: Error loading vmlinux BTF: -2\n",
    "libbpf: prog 'f': -- BEGIN PROG LOAD LOG --\n0: (95) exit\nR0 !read_ok\n-- END PROG LOAD LOG --\nlibbpf: prog 'f': failed to load: -13\n",
    "libbpf: something that nobody has heard of: 7\nlibbpf: failed to load object 'x'\n",
])  # fmt: skip
def test_every_errno_of_a_load(libbpf, cached_btf, text):
    for number in NUMBERS:
        require_step(load_refused("x.bpf.o", CallError("failed", errno=number), [text]))


def test_every_errno_of_an_open(libbpf):
    """A message that isn't known is the reason itself, in libbpf's words."""
    for number in NUMBERS:
        require_step(_open_error("x.bpf.o", CallError("failed", errno=number), ""))
    said = _open_error("x.bpf.o", CallError("failed", errno=22), MESSAGES[2])
    assert "something that nobody has heard of: 7; correct that in its source" in str(said)


def test_every_message_that_is_known(libbpf, cached_btf):
    """Each of libbpf's own, of an open or a load, is known by a row of its own, and each row by one of them."""
    found = set()
    for line in OPEN_LINES:
        error = _open_error("x.bpf.o", CallError("failed", errno=22), f"libbpf: {line}\n")
        require_step(error)
        assert error.fix != libbpf_messages.COMPILE_AGAIN, line
        found |= {next(pattern for pattern, _, _ in libbpf_messages.OPEN_MESSAGES if re.search(pattern, line))}
    assert found == {pattern for pattern, _, _ in libbpf_messages.OPEN_MESSAGES}
    found = set()
    for line in LOAD_LINES:
        require_step(load_refused("x.bpf.o", CallError("failed", errno=22), [f"libbpf: {line}\n"]))
        found |= {next(pattern for pattern, _ in libbpf_messages.LOAD_MESSAGES if pattern.search(line))}
    assert found == {pattern for pattern, _ in libbpf_messages.LOAD_MESSAGES}
    found = set()
    for line in ATTACH_LINES:
        error = attach_refused("f", CallError("failed", errno=22), [f"libbpf: {line}\n"], "usdt")
        require_step(error)
        found |= {next(pattern for pattern, _, _ in libbpf_messages.ATTACH_MESSAGES if re.search(pattern, line))}
    assert found == {pattern for pattern, _, _ in libbpf_messages.ATTACH_MESSAGES}


def test_every_errno_of_a_pin(libbpf, monkeypatch):
    from bpfloader.libbpf import pin

    class Refusing:
        @staticmethod
        def bpf_obj_pin(fd, path):
            raise CallError("failed", errno=number)

    monkeypatch.setattr(pin, "library", Refusing)
    for number in NUMBERS:
        with pytest.raises(bpfloader.AttachError) as caught:
            pin_to(3, "/sys/fs/bpf/x", "the map m")
        require_step(caught.value)


def test_each_type_of_map_has_its_rule():
    assert {kind.name for kind in map_types()} - {*RULES} == {"insn_array", "rhash"}  # what a program makes by itself; 7.2
    for kind in RULES:
        for number in (errno.EINVAL, errno.E2BIG, errno.ENOMEM):
            assert re.match(f"give an? {kind} map ", map_fix(number, kind))
        assert map_fix(errno.EPERM, kind) == ""
    assert all(FIXES.values())


@pytest.fixture
def frozen(monkeypatch, tmp_path):
    """As in a program that PyInstaller made, which unpacks what it bundles to a folder of its own."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    return tmp_path


def test_a_bundle_without_its_data(frozen):
    from bpfloader.files import missing_file_fix
    from bpfloader.package.manifest import packed_object

    with pytest.raises(bpfloader.ObjectError) as caught:
        packed_object(str(frozen / "opens"), "opens.bpf.o", "0" * 64)
    assert caught.value.fix == "bundle the package's files, too: pyinstaller --collect-data opens"
    path = str(frozen / "x86_64" / "demo.bpf.o")
    assert missing_file_fix(path, False, "other") == 'bundle it, too: pyinstaller --add-data "demo.bpf.o:x86_64"'
    assert missing_file_fix(str(frozen), False, "other") == "other"  # it is there: something else is wrong with it


def test_without_a_bundle_the_way_out_is_another():
    from bpfloader.files import missing_file_fix

    assert missing_file_fix("/no/such/file", True, "other") == "other"


def test_every_errno_of_a_map_s_operation(using, monkeypatch):
    table = using("counts").maps.counts

    for number in {*NUMBERS} - {errno.ENOENT}:  # a KeyError

        class Refusing:
            @staticmethod
            def bpf_map_update_elem(*_, number=number):
                raise failure("bpf_map_update_elem", number)

        monkeypatch.setattr("bpfloader.map.base.library", Refusing)
        with pytest.raises(bpfloader.BpfError) as caught:
            table[1] = 2
        require_step(caught.value)
    monkeypatch.undo()
