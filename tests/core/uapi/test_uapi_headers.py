"""The pinned UAPI headers: which files they are, what is installed of them, and which program asks for them."""

import hashlib
import os
import subprocess
import time
from pathlib import Path

import pytest
from ebpfbuild.arch import EVERY_ARCH, arch_named
from ebpfbuild.compile.clang import package_folder
from ebpfbuild.errors import CompilerError, MismatchError, PinError
from ebpfbuild.minimize.explain_uapi import home_of
from ebpfbuild.pins.pins import UapiPin
from ebpfbuild.pins.toolchain import load
from ebpfbuild.uapi.install import MANIFEST, install_uapi, intact, listing, read_manifest
from ebpfbuild.uapi.libc import LIBC_HEADERS
from ebpfbuild.uapi.text import BEHIND_VMLINUX, PREDEFINED, constants, installed
from ebpfbuild.uapi.tree import own_files, search_dirs, wheel_files
from ebpfbuild.uapi.header_kinds import HeaderKinds, header_kinds
from slow import slow_after

ROOT = Path(__file__).resolve().parents[3]
PIN = load(ROOT / "toolchain.toml").uapi
LIBBPF = [f"bpf/{name}" for name in load(ROOT / "toolchain.toml").libbpf.files]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The folder of the headers, installed."""
    folder = tmp_path_factory.mktemp("uapi")
    try:
        install_uapi(PIN, ROOT, folder)
    except CompilerError as error:
        pytest.skip(str(error))
    return folder


def test_the_pin_s_digest_is_that_of_the_installed_wheel_and_sha256sum_reads_the_manifest(tree):
    wheel = package_folder(PIN.package, PIN.where)
    assert f"#define LINUX_VERSION_CODE {(int(PIN.kernel.split('.')[0]) << 16) + (int(PIN.kernel.split('.')[1]) << 8)}" in (
        wheel / "lib/libc/include/any-linux-any/linux/version.h"
    ).read_text()
    done = subprocess.run(["sha256sum", "-c", "--quiet", MANIFEST], cwd=tree, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    listed = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()} - {MANIFEST}
    assert set(read_manifest(tree)) == listed


def test_each_arch_has_asm_headers_of_its_own_and_macros_that_its_compiler_defines():
    files = wheel_files(package_folder(PIN.package, PIN.where))
    assert {name.split("/")[0] for name in files} == {"linux", "asm", "asm-generic", *(arch.name for arch in EVERY_ARCH)}
    assert set(PREDEFINED) == {arch.name for arch in EVERY_ARCH}
    assert all(f"{arch.name}/asm/ptrace.h" in files for arch in EVERY_ARCH)


def test_other_bytes_than_the_pinned_are_refused_and_a_pin_without_digest_prints_it(tmp_path):
    with pytest.raises(MismatchError, match="the installed ziglang does not hold the pinned UAPI headers of Linux 7.2") as error:
        install_uapi(PIN._replace(sha256="0" * 64), ROOT, tmp_path / "uapi")
    assert f'sha256 = "{PIN.sha256}"' in str(error.value)
    with pytest.raises(PinError, match="has no sha256") as unpinned:
        install_uapi(PIN._replace(sha256=None), ROOT, tmp_path / "uapi")
    assert unpinned.value.details == (f'sha256 = "{PIN.sha256}"',)
    assert not (tmp_path / "uapi").exists()


@pytest.fixture
def own(tmp_path):
    """A folder as make headers_install fills it, and its pin."""
    for name in ("linux/bpf.h", "asm/types.h", "s390x/asm/types.h", "asm-generic/types.h", "README"):
        (tmp_path / "vendor" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "vendor" / name).write_text(f"/* {name} */\n#define FROM \"{name}\"\n")
    return UapiPin("6.1", "ziglang", Path("vendor"), None, "toolchain.toml:3: uapi")


def test_a_folder_of_the_project_s_own_takes_the_place_of_the_kernel_s(own, tmp_path):
    assert sorted(own_files(own, tmp_path / "vendor")) == ["asm-generic/types.h", "asm/types.h", "linux/bpf.h", "s390x/asm/types.h"]
    with pytest.raises(PinError) as error:
        install_uapi(own, tmp_path, tmp_path / "uapi")
    pinned = own._replace(sha256=error.value.details[0].split('"')[1])
    install_uapi(pinned, tmp_path, tmp_path / "uapi")
    made = read_manifest(tmp_path / "uapi")
    assert {"include/uapi/linux/bpf.h", "include/uapi/asm/types.h", "s390x/asm/types.h", "clang/stdint.h"} <= set(made)
    assert '"linux/bpf.h"' in (tmp_path / "uapi/include/uapi/linux/bpf.h").read_text()
    (tmp_path / "vendor/linux/bpf.h").write_text("edited")
    with pytest.raises(MismatchError, match="vendor does not hold the pinned UAPI headers of Linux 6.1"):
        install_uapi(pinned, tmp_path, tmp_path / "again")


def test_a_folder_without_headers_and_one_with_far_too_many_are_refused(own, tmp_path, monkeypatch):
    monkeypatch.setattr("ebpfbuild.uapi.tree.MAX_OWN_HEADERS", 3)
    with pytest.raises(PinError, match="holds 4 headers, more than the 3"):
        own_files(own, tmp_path / "vendor")
    with pytest.raises(PinError, match=r"holds no linux/\*\.h; name the folder that make headers_install filled"):
        own_files(own, tmp_path)


def test_an_edit_of_an_installed_header_is_seen_and_its_stat_is_asked_for_once(tree):
    facts, asked = {}, []

    def fact(key, find):
        if key not in facts:
            asked.append(key)
            facts[key] = find()
        return facts[key]

    manifest, later = read_manifest(tree), time.time_ns() + 10**9
    assert intact(tree, manifest, fact, later) and intact(tree, manifest, fact, later) and len(asked) == 1
    file = tree / "include/uapi/linux/bpf.h"
    text, before = file.read_text(), file.stat()
    file.write_text(text.replace("BPF", "BQF"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not intact(tree, manifest, fact, later)
    time.sleep(0.02)  # two writes within a tick of the clock would leave one stat
    file.write_text(text)
    assert intact(tree, manifest, fact, later), "the same bytes again"
    assert intact(tree, manifest, fact, time.time_ns()) and len(asked) == 3, "within the clock's tick nothing is believed"
    assert not intact(tree, {**manifest, "gone.h": "0"}, fact, later)


def test_constants_are_the_preprocessor_lines_without_comments():
    text = (
        "/* one\n#define NOT_THIS 1\n*/\n#ifndef _X_H // guard\n# define _X_H\n#include <linux/types.h>\nstruct x { int a; };\n"
        "#define LONG(a, b) \\\n\t((a) + /* in the middle\n   of it */ (b)) \\\n\t- 1\nenum { A,\n#define A A\n};\n"
        '#define URL "http://x" // it\'s\n#endif\n'
    )
    assert constants(text).splitlines() == [
        "#ifndef _X_H",
        "# define _X_H",
        "#include <linux/types.h>",
        "#define LONG(a, b) ((a) + (b)) - 1",
        "#define A A",
        '#define URL "http://x"',
        "#endif",
    ]


def test_no_constants_declare_anything(tree):
    for path in sorted(tree.rglob("*.h")):
        behind = path.read_text(encoding="utf-8", errors="surrogateescape").split(BEHIND_VMLINUX)[1].split("#else\n#line 1\n")[0]
        assert all(line.startswith("#") for line in behind.splitlines() if line), path


def test_lines_of_a_header_keep_their_numbers():
    lines = installed("linux/x.h", "#error first\n\n#error third\n").splitlines()
    start = lines.index("#line 1") + 1
    assert lines[start : start + 3] == ["#error first", "", "#error third"]


# The whole of what clang is told where a program has these headers in sight.
def syntax(clang, tree, arch, text, *flags):
    dirs = [word for folder in search_dirs(str(tree), arch.name) for word in ("-isystem", folder)]
    command = [*clang, "-target", arch.target, "-std=gnu11", "-O2", "-nostdinc", *dirs, *flags, "-fsyntax-only", "-x", "c", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True)


@pytest.mark.parametrize("arch", EVERY_ARCH, ids=lambda arch: arch.name)
def test_the_arch_s_own_registers_and_widths_are_seen(arch, clang, tree):
    order = "__LITTLE_ENDIAN_BITFIELD" if arch.target == "bpfel" else "__BIG_ENDIAN_BITFIELD"
    text = (
        "#include <asm/ptrace.h>\n#include <asm/bitsperlong.h>\n#include <asm/byteorder.h>\n#include <linux/errno.h>\n"
        "#include <linux/swab.h>\n#include <linux/in.h>\n#include <stdint.h>\n#include <stdbool.h>\n"
        f"#ifndef {order}\n#error byte order\n#endif\n"
        '_Static_assert(sizeof(long) * 8 == __BITS_PER_LONG, "bits");\n'
        '_Static_assert(__builtin_types_compatible_p(__u64, unsigned long long), "as in vmlinux.h");\n'
        "__u32 swapped(__u32 x) { return __swab32(x); }\nbool is(uint8_t x) { return x == EPERM; }\n"
    )
    done = syntax(clang, tree, arch, text, "-Werror")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arch", slow_after(4, EVERY_ARCH), ids=lambda arch: arch.name)
def test_each_stand_in_of_the_c_library_s_compiles_alone_with_all_others_and_behind_vmlinux(arch, clang, tree):
    names = [*LIBC_HEADERS, "stdatomic.h"]
    texts = [f"#include <{name}>\n" for name in names]
    for text in (*texts, "".join(texts), "".join(reversed(texts)), "#define __VMLINUX_H__\n" + "".join(texts)):
        done = syntax(clang, tree, arch, text, "-Werror", "-Wsystem-headers")
        assert (done.returncode, done.stderr) == (0, ""), text


USED = """
#include <stdio.h>
#include <assert.h>
#include <endian.h>
#include <arpa/inet.h>
#include <inttypes.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdatomic.h>
#include <bits/socket_type.h>
#include <sys/cdefs.h>
#include <sys/types.h>
#include <unistd.h>
#define LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
static_assert(htobe32(1) == (LITTLE ? 1 << 24 : 1) && be32toh(htobe32(7)) == 7, "big");
static_assert(htole16(1) == (LITTLE ? 1 : 1 << 8) && le64toh(htole64(7)) == 7, "little");
static_assert(htons(1) == htobe16(1) && ntohl(htonl(7)) == 7, "network");
static_assert((BYTE_ORDER == LITTLE_ENDIAN) == LITTLE && LITTLE_ENDIAN != BIG_ENDIAN, "order");
static_assert(sizeof(u_int32_t) == 4 && sizeof(in_addr_t) == 4 && sizeof(ssize_t) == sizeof(long), "sizes");
struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(443) };
const char format[] = "%" PRIu64 " %" PRIx8;
static __always_inline int first(struct iphdr *ip) { return ip->protocol == IPPROTO_TCP ? SOCK_STREAM : SOL_UDP; }
int count(atomic_int *n, struct tcphdr *tcp, struct udphdr *udp, struct ethhdr *eth, pid_t pid)
{
	return atomic_fetch_add(n, tcp->syn) + udp->dest + eth->h_proto + SOL_TCP + pid;
}
"""


@pytest.mark.parametrize("arch", EVERY_ARCH, ids=lambda arch: arch.name)
def test_stand_ins_have_what_programs_use_of_them(arch, clang, tree):
    done = syntax(clang, tree, arch, USED, "-Werror")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("lacking", [False, True], ids=["this clang", "a clang before 20"])
def test_constants_of_stdint_have_their_types(clang, tree, lacking):
    """By macros of the compiler's own that older ones lack, so that they are undefined here for the second case."""
    undefined = [f"-U__{name}_C" for name in ("INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 INTMAX UINTMAX".split() if lacking else ())]
    checks = "".join(
        f'_Static_assert(__builtin_types_compatible_p(__typeof__({sign}{bits}_C(1)), {kind}), "{sign}{bits}");\n'
        for sign, bits, kind in (
            ("INT", 8, "int"), ("UINT", 16, "int"), ("INT", 32, "int"), ("UINT", 32, "unsigned"),
            ("INT", 64, "long"), ("UINT", 64, "unsigned long"), ("INTMAX", "", "long"), ("UINTMAX", "", "unsigned long"),
        )
    )  # fmt: skip
    done = syntax(clang, tree, arch_named("x86_64"), f"#include <stdint.h>\n{checks}", "-Werror", *undefined)
    assert (done.returncode, done.stderr) == (0, "")


REGISTERS = {
    "x86_64": "sizeof(struct pt_regs) == 21 * 8",
    "powerpc": "sizeof(((struct pt_regs *)0)->gpr) == 32 * 8",
    "s390x": "sizeof(((user_pt_regs *)0)->gprs) == 16 * 8",
    "ppc64": "sizeof(((struct pt_regs *)0)->gpr) == 32 * 8",
    "mips64": "sizeof(((struct pt_regs *)0)->regs) == 32 * 8",
}


@pytest.mark.parametrize("name", REGISTERS)
def test_registers_are_those_of_64_bits(name, clang, tree):
    text = f'#include <linux/types.h>\n#include <asm/ptrace.h>\n_Static_assert({REGISTERS[name]}, "registers");\n'
    done = syntax(clang, tree, arch_named(name), text)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "header, name",
    [
        ("linux/if_ether.h", "ETH_P_IP"),
        ("linux/pkt_cls.h", "TC_ACT_OK"),
        ("linux/errno.h", "EPERM"),
        ("linux/fcntl.h", "O_CREAT"),
        ("linux/signal.h", "SIGKILL"),
        ("linux/sched.h", "CLONE_NEWNS"),
        ("linux/stat.h", "S_IFREG"),
        ("linux/in.h", "INADDR_LOOPBACK"),
        ("linux/limits.h", "PATH_MAX"),
        ("linux/if.h", "IFNAMSIZ"),
        ("linux/capability.h", "CAP_BPF"),
        ("linux/mman.h", "MAP_SHARED"),
        ("linux/netlink.h", "NLM_F_REQUEST"),
    ],
)
def test_a_constant_that_is_missed_is_told_its_header_which_has_it_behind_vmlinux(header, name, clang, tree):
    assert home_of(name) == header
    text = f"#define __VMLINUX_H__\n#include <{header}>\nint x[] = {{ {name} }};\n"
    for arch in EVERY_ARCH:
        done = syntax(clang, tree, arch, text)
        assert (done.returncode, done.stderr) == (0, ""), arch.name


@pytest.fixture
def found():
    def look(**files):
        texts = {name.replace("__", "/").replace("_h", ".h").replace("_c", ".c"): text for name, text in files.items()}
        return header_kinds("src/x.c", ["include"], texts.get, LIBBPF)

    return look


@pytest.mark.parametrize(
    "text, expected",
    [
        ('#include "vmlinux.h"\n#include <bpf/bpf_helpers.h>\n', HeaderKinds(True, False, False)),
        ('#include <./vmlinux.h>\n#include "gone.h"\n', HeaderKinds(True, False, True)),
        ("#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n", HeaderKinds(False, True, False)),
        ("#include <uapi/linux/bpf.h>\n", HeaderKinds(False, True, False)),
        ("#include <stdint.h>\n", HeaderKinds(False, True, False)),
        ("#include <sys/socket.h>\n", HeaderKinds(False, True, False)),
        ('#include "vmlinux.h"\n#include <bpf/usdt.bpf.h>\n', HeaderKinds(True, True, False)),
        ("#include <bpf/bpf_core_read.h>\n#include <bpf/bpf_tracing.h>\n#include <bpf/bpf_endian.h>\n", HeaderKinds(False, False, False)),
        ("#ifdef NEVER\n#include <asm/ptrace.h>\n#endif\n", HeaderKinds(False, True, False)),
        ("#define H <linux/bpf.h>\n#include H\n", HeaderKinds(False, False, True)),
        ("int x;\n", HeaderKinds(False, False, False)),
        ('#if __has_include("gone.h")\n#endif\n', HeaderKinds(False, False, False)),
        ('#embed "gone.bin"\n', HeaderKinds(False, False, False)),
    ],
)
def test_a_source_tells_by_its_directives_what_it_asks_for(found, text, expected):
    assert found(src__x_c=text) == expected


def test_the_project_s_own_headers_are_followed_and_come_first(found):
    assert found(src__x_c='#include "a.h"\n', src__a_h="#include <b.h>\n", include__b_h='#include "vmlinux.h"\n') == HeaderKinds(True, False, False)
    assert found(src__x_c="#include <linux/bpf.h>\n", include__linux__bpf_h="int own;\n") == HeaderKinds(False, False, False)
    assert found(src__x_c='#include "a.h"\n', src__a_h='#include "a.h"\n#include <linux/bpf.h>\n') == HeaderKinds(False, True, False)


def test_a_source_that_has_still_to_be_made_may_ask_for_anything(found):
    assert found() == HeaderKinds(False, False, True)


def test_a_listing_is_sha256sum_s():
    digest = hashlib.sha256(b"").hexdigest()
    assert listing({"b": digest, "a": digest}) == f"{digest}  a\n{digest}  b\n".encode()
