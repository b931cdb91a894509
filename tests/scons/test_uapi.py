"""The kernel's UAPI headers in a build: who has them in sight, that they stay what is pinned, and what is told of them."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from ebpfbuild.pins.toolchain import load
from scripts import wrapper

PIN = load(Path(__file__).resolve().parents[2] / "toolchain.toml").uapi
PROGRAMS = Path(__file__).resolve().parents[1] / "testdata" / "uapi"
HELPERS = '#include <bpf/bpf_helpers.h>\nchar LICENSE[] SEC("license") = "GPL";\n'
TC = f"""\
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
{HELPERS}
SEC("tc") int drop(struct __sk_buff *skb) {{ return skb->protocol == ETH_P_IP ? TC_ACT_SHOT : TC_ACT_OK; }}
"""
BOTH = f"""\
#include "vmlinux.h"
#include <linux/if_ether.h>
#include <linux/errno.h>
#include <stdint.h>
#include <stdbool.h>
{HELPERS}
SEC("raw_tp/sys_enter") int both(void *ctx)
{{
	struct task_struct *task = (void *)bpf_get_current_task();
	bool odd = task->pid == -EPERM;
	return odd ? ETH_P_IP : INT8_MAX;
}}
"""
MANIFEST = "uapi/headers.sha256"


@pytest.fixture
def tc(project):
    """A project of one TC program, not built yet."""
    return project.declare('env.BpfObject("src/tc.bpf.c")\n', **{"tc.bpf.c": TC})


@pytest.fixture
def both(project):
    """A project of one program that includes vmlinux.h and UAPI headers behind it."""
    return project.declare('env.BpfObject("src/both.bpf.c")\n', **{"both.bpf.c": BOTH})


def test_a_program_without_vmlinux_has_none_fetched_and_none_made(tc):
    assert tc.build("ARCH=x86_64,s390x") == {"libbpf/headers.sha256", "libbpf/include/bpf/bpf_helpers.h"} | {
        f"{arch}/tc.bpf.o" for arch in ("x86_64", "s390x")
    } | {path for path in tc.stats() if path.startswith("uapi/")}
    assert tc.build("ARCH=x86_64,s390x") == set()
    assert tc.scons("ARCH=x86_64,s390x", "-q").returncode == 0
    tc.edit("src/tc.bpf.c", "TC_ACT_SHOT", "TC_ACT_STOLEN")
    assert re.search(r"MADE     build/x86_64/tc\.bpf\.o  \d.*  no vmlinux\.h\n", tc.scons("ARCH=x86_64").stdout)


def test_it_is_packed_and_proves_nothing_in_a_release_as_well(project):
    project.declare('env.BpfProgram("tc", "src/tc.bpf.c", version="1")\n', **{"tc.bpf.c": TC})
    assert "x86_64/tc.bpf.o" in project.build("ARCH=x86_64", "RELEASE=1")
    assert not [path for path in project.stats() if path.endswith((".proof.json", "vmlinux.h"))]
    manifest = json.loads((project.folder / "build/x86_64/python/tc/manifest.json").read_text())
    told = manifest["programs"]["tc.bpf.o"]["x86_64"]
    assert sorted(told) == ["compiler", "libbpf", "object", "uapi"]
    assert told["uapi"] == {"kernel": PIN.kernel, "sha256": PIN.sha256}
    text = project.scons("ARCH=x86_64", "prove").stdout
    assert "build/x86_64/tc.bpf.o: no vmlinux.h, nothing to prove\n1 object: 0 proven, 1 without vmlinux.h" in text
    assert "program" in project.scons("ARCH=x86_64", "sizes").stdout


def test_behind_vmlinux_they_give_constants_and_the_object_is_proven(both):
    assert "x86_64/both.bpf.o" in both.build("ARCH=x86_64", "PROVE=1")
    assert "x86_64/both.proof.json" in both.stats()
    assert both.build("ARCH=x86_64", "PROVE=1") == set()
    assert "x86_64/both.bpf.o" in both.build("ARCH=x86_64", "MINIMIZE=off")


def test_a_program_that_names_none_depends_on_none(project, one_program):
    built = project.build("ARCH=x86_64")
    assert not [path for path in built if path.startswith("uapi/")]
    assert "uapi" not in str(project.commands())


@pytest.mark.slow
def test_objects_don_t_depend_on_where_they_are_made(make_project):
    digests = []
    for name in ("a", "a/longer/one"):
        project = make_project(name).declare('env.BpfObject("src/tc.bpf.c")\n', **{"tc.bpf.c": TC})
        project.build("ARCH=x86_64,aarch64,s390x")
        digests.append(project.digests(".bpf.o"))
        assert b"site-packages" not in b"".join((project.folder / "build" / path).read_bytes() for path in digests[-1])
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_edited_headers_are_put_back_and_rebuild_nothing(tc):
    tc.build("ARCH=x86_64")
    names = ["include/uapi/linux/bpf.h", "x86_64/asm/posix_types.h", "clang/stddef.h", "headers.sha256"]
    outputs, before = {f"uapi/{name}" for name in names}, tc.digests()
    for path in (tc.folder / "build" / output for output in outputs):
        text, stat = path.read_bytes(), path.stat()
        path.write_bytes(text.replace(b"1", b"2"))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert outputs <= tc.build("ARCH=x86_64")
    assert tc.digests() == before
    for name in names:
        (tc.folder / "build/uapi" / name).unlink()
    made = tc.build("ARCH=x86_64")
    assert outputs <= made and "x86_64/tc.bpf.o" not in made
    assert tc.build("ARCH=x86_64") == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clang/stddef.h", "headers.sha256"])
def test_one_edited_header_alone_is_put_back(tc, name):
    tc.build("ARCH=x86_64")
    path, before = tc.folder / "build/uapi" / name, tc.digests()
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    assert f"uapi/{name}" in tc.build("ARCH=x86_64")
    assert tc.digests() == before


def test_a_header_put_among_them_is_an_undeclared_input(tc):
    tc.build("ARCH=x86_64")
    tc.edit("src/tc.bpf.c", "<linux/pkt_cls.h>\n", "<linux/pkt_cls.h>\n#include <linux/nobodys.h>\n")
    (tc.folder / "build/uapi/include/uapi/linux/nobodys.h").write_text("#define NOBODYS 1\n")
    assert "the compile read build/uapi/include/uapi/linux/nobodys.h, which the build graph does not know" in tc.fails("ARCH=x86_64")


def test_a_header_of_the_project_s_own_comes_first_and_an_edit_of_it_rebuilds(tc):
    tc.build("ARCH=x86_64")
    own = tc.folder / "include/linux/types.h"
    own.parent.mkdir()
    shutil.copy(tc.folder / "build/uapi/include/uapi/linux/types.h", own)
    assert tc.build("ARCH=x86_64") == {"x86_64/tc.bpf.o"}, "<linux/bpf.h>, a pinned header, includes it"
    own.write_text(own.read_text() + "#define OWN 1\n")
    assert tc.build("ARCH=x86_64") == {"x86_64/tc.bpf.o"}
    own.unlink()
    assert tc.build("ARCH=x86_64") == {"x86_64/tc.bpf.o"}


def test_uapi_false_takes_them_out_of_sight_and_true_puts_them_there(project):
    project.declare('env.BpfObject("src/tc.bpf.c", uapi=False)\n', **{"tc.bpf.c": TC})
    text = project.fails("ARCH=x86_64")
    assert "src/tc.bpf.c:1:10: 'stddef.h' file not found" in text
    hidden = f'#define NAME <linux/bpf.h>\n#include NAME\n{HELPERS}int action = XDP_PASS;\n'
    project.declare('env.BpfObject("src/tc.bpf.c", uapi=True)\n', **{"tc.bpf.c": hidden})
    project.build("ARCH=x86_64")
    assert project.build("ARCH=x86_64") == set()
    project.declare('env.BpfObject("src/tc.bpf.c", uapi="linux")\n')
    assert "uapi: 'linux' is neither True nor False; leave it out to have the headers that src/tc.bpf.c names" in project.fails()


def test_a_source_that_another_step_makes_has_them_by_uapi_true(project):
    make = 'env.Command("src/made.bpf.c", "src/tc.in", Copy("$TARGET", "$SOURCE"))\n'
    project.declare(f'{make}env.BpfObject("src/made.bpf.c", uapi=True)\n', **{"tc.in": TC})
    assert "x86_64/made.bpf.o" in project.build("ARCH=x86_64")
    assert not (project.folder / "build/x86_64/include").exists(), "uapi=True says what it includes: no vmlinux.h"
    assert project.build("ARCH=x86_64") == set()


@pytest.mark.slow
def test_a_generated_header_changes_nothing_of_what_a_program_has_in_sight(project):
    """Whether it is made yet or not, and declared before the program or behind it."""
    make = 'env.Command("src/config.h", [], lambda target, source, env: open(str(target[0]), "w").write("#define PORT 1\\n") and None)\n'
    text = TC.replace("#include <linux/bpf.h>", '#include <linux/bpf.h>\n#include "config.h"')
    for body in (f'{make}env.BpfObject("src/tc.bpf.c")\n', f'env.BpfObject("src/tc.bpf.c")\n{make}'):
        project.declare(body, **{"tc.bpf.c": text})
        project.build("ARCH=x86_64")
        assert project.build("ARCH=x86_64") == set()
        assert not (project.folder / "build/x86_64/include").exists()
        shutil.rmtree(project.folder / "build")
        (project.folder / "src/config.h").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bpf/vmlinux.h", "vmlinux_local.h", "own/kernel.h"])
def test_a_header_of_one_s_own_with_vmlinux_s_guard_hides_nothing(project, name):
    """Projects keep the few types of the kernel's that they need in a header that shadows vmlinux.h; UAPI headers go with it."""
    own = project.folder / "include" / name
    own.parent.mkdir(exist_ok=True)
    own.write_text(
        "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n#include <linux/types.h>\n"
        "struct sk_buff { __u32 len; } __attribute__((preserve_access_index));\n#endif\n"
    )
    text = TC.replace("#include <linux/bpf.h>", f"#include <{name}>\n#include <linux/bpf.h>")
    project.declare('env.BpfObject("src/tc.bpf.c")\n', **{"tc.bpf.c": text.replace("skb->protocol", "((struct sk_buff *)skb)->len")})
    assert "x86_64/tc.bpf.o" in project.build("ARCH=x86_64")
    assert not (project.folder / "build/x86_64/include").exists()
    assert project.build("ARCH=x86_64") == set()


def test_uapi_headers_before_vmlinux_are_told_in_one_line(both):
    lines = BOTH.splitlines()
    both.declare('env.BpfObject("src/both.bpf.c")\n', **{"both.bpf.c": "\n".join([lines[1], lines[0], *lines[2:]])})
    line = "src/both.bpf.c: <linux/if_ether.h> comes before vmlinux.h, which declares the same types; include vmlinux.h first"
    text = both.fails("ARCH=x86_64")
    assert line in text and "redefinition" not in text
    assert "declares the same types; include vmlinux.h first" in both.fails("ARCH=x86_64", "MINIMIZE=lean")


def test_a_copy_of_one_s_own_that_meets_vmlinux_is_told_in_one_line(project):
    clash = "#pragma once\nstruct task_struct { int pid; };\nenum bpf_map_type { BPF_MAP_TYPE_UNSPEC };\n"
    (project.folder / "include/linux").mkdir()
    (project.folder / "include/linux/bpf.h").write_text(clash)
    text = BOTH.replace("<linux/if_ether.h>", "<linux/bpf.h>").replace("ETH_P_IP", "0")
    project.declare('env.BpfObject("src/both.bpf.c")\n', **{"both.bpf.c": text})
    found = project.fails("ARCH=x86_64")
    assert "include/linux/bpf.h and vmlinux.h declare the same types: include vmlinux.h first" in found
    assert len([line for line in found.splitlines() if "redefinition" in line]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new, line",
    [
        ("#include <stddef.h>\n", "#include <pthread.h>\n", "<pthread.h> is the C library's, and BPF programs have none: leave it out"),
        ("#include <stddef.h>\n", "#include <sys/mman.h>\n", "<sys/mman.h> is the C library's, and BPF programs have none: take <linux/mman.h>"),
        ("#include <stddef.h>\n", "#include <iproute2/bpf_elf.h>\n", "<iproute2/bpf_elf.h> is iproute2's: include_dirs= searches a copy"),
        ("#include <linux/if_ether.h>\n", "", "ETH_P_IP is defined in <linux/if_ether.h>: include it"),
        ("#include <linux/bpf.h>\n", "", "no header that the program includes defines struct __sk_buff: include the one that does, or vmlinux.h"),
        ("drop(", "f(u32 x) { return x; } int drop(", "u32 is a name of the kernel's inside: write __u32 and include <linux/types.h>, or"),
        ("drop(", "f(bool x) { return x; } int drop(", "bool is declared in <stdbool.h>: include it, or write -std=gnu2x in cflags"),
        ("ETH_P_IP", "SO_MARK", "SO_MARK is defined in <asm/socket.h>: include it"),
        ("ETH_P_IP", "SOL_TCP", "no UAPI header has SOL_TCP: #define SOL_TCP 6"),
        ("drop(", "f(uint32_t x) { return x; } int drop(", "uint32_t is declared in <stdint.h>: include it"),
        ("<linux/pkt_cls.h>", "<linux/sched/signal.h>", "no UAPI header in sight is called <linux/sched/signal.h>: include vmlinux.h for"),
    ],
)
def test_what_a_program_without_vmlinux_misses_is_told(tc, old, new, line):
    tc.edit("src/tc.bpf.c", old, new)
    assert line in tc.fails("ARCH=x86_64")


def test_a_conflict_of_the_program_s_own_names_is_no_header_s(tc):
    tc.edit("src/tc.bpf.c", 'SEC("tc")', 'extern int own;\nextern long own;\nSEC("tc")')
    text = tc.fails("ARCH=x86_64")
    assert "redeclaration of 'own' with a different type" in text and "no header that the program includes" not in text


def test_helpers_before_the_kernel_s_types_are_told_what_to_include(project):
    text = '#include <bpf/bpf_helpers.h>\n#include <linux/bpf.h>\nchar LICENSE[] SEC("license") = "GPL";\n'
    project.declare('env.BpfObject("src/x.bpf.c")\n', **{"x.bpf.c": text})
    found = project.fails("ARCH=x86_64")
    assert "__u64 is declared in <linux/types.h>: include it, or <linux/bpf.h>, before the first use" in found


@pytest.mark.slow
def test_a_folder_of_the_project_s_own_is_pinned_watched_and_refused_when_it_was_edited(tc):
    tc.build("ARCH=x86_64")
    vendor = tc.folder / "vendor/uapi"
    wheel = tc.folder / "build/uapi"
    shutil.copytree(wheel / "include/uapi", vendor)
    shutil.copytree(wheel / "x86_64/asm", vendor / "x86_64/asm")
    with open(tc.folder / "toolchain.toml", "a") as file:
        file.write('\n[uapi]\nkernel = "6.1"\npath = "vendor/uapi"\n')
    text = tc.fails("ARCH=x86_64")
    assert "UAPI headers of Linux 6.1 has no sha256, so what vendor/uapi holds was not used; if you trust it, paste below" in text
    with open(tc.folder / "toolchain.toml", "a") as file:
        file.write(re.search('sha256 = "[0-9a-f]{64}"', text)[0])
    assert {MANIFEST, "x86_64/tc.bpf.o"} <= tc.build("ARCH=x86_64", "RELEASE=1")
    assert tc.build("ARCH=x86_64", "RELEASE=1") == set()
    bpf = vendor / "linux/bpf.h"
    good = bpf.read_text()
    bpf.write_text(good + "/* edited */\n")
    assert "vendor/uapi does not hold the pinned UAPI headers of Linux 6.1, and was not used; put back" in tc.fails("ARCH=x86_64")
    bpf.write_text(good)
    assert "x86_64/tc.bpf.o" not in tc.build("ARCH=x86_64")
    shutil.rmtree(vendor)
    assert "vendor/uapi holds no linux/*.h; name the folder that make headers_install filled" in tc.fails("ARCH=x86_64")


def test_another_digest_than_the_wheel_s_is_refused(tc):
    with open(tc.folder / "toolchain.toml", "a") as file:
        file.write(f'\n[uapi]\nkernel = "7.2"\nsha256 = "{hashlib.sha256(b"").hexdigest()}"\n')
    text = tc.fails("ARCH=x86_64")
    assert "the installed ziglang does not hold the pinned UAPI headers of Linux 7.2, and was not used" in text


def test_they_serve_a_clang_that_is_no_wheel_s(tc, compiler):
    script = tc.folder / "clang"
    script.write_text(wrapper(compiler.argv[0], "clang"))
    script.chmod(0o755)
    tc.pin(**{'package = "ziglang"': 'path = "clang"'})
    assert "x86_64/tc.bpf.o" in tc.build("ARCH=x86_64,s390x")


def test_clean_takes_them_away_and_tells_it_in_one_line(tc):
    tc.build("ARCH=x86_64")
    text = tc.scons("ARCH=x86_64", "-c").stdout
    assert text.count("uapi") == 1
    assert not (tc.folder / "build/uapi").exists()


def test_a_set_of_programs_shares_a_header_beside_them(project):
    text = 'shared = env.MinimizedVmlinux("pair", ["src/both.bpf.c", "src/one.bpf.c"])\n'
    text += 'for name in ("both", "one"):\n    env.BpfObject(f"src/{name}.bpf.c", header=shared)\n'
    project.declare(text, **{"both.bpf.c": BOTH})
    assert {"x86_64/minimized/pair/vmlinux.h", "x86_64/both.bpf.o", "x86_64/one.bpf.o"} <= project.build("ARCH=x86_64", "PROVE=1")
    assert project.build("ARCH=x86_64", "PROVE=1") == set()


@pytest.mark.slow
def test_programs_in_the_style_of_tutorials_and_samples_compile_for_every_arch(project, pinned):
    pinned.libbpf()
    cache, mirror = pinned.options.cache, pinned.options.mirror
    shutil.rmtree(project.folder)
    shutil.copytree(PROGRAMS, project.folder)
    project.cache = cache
    arguments = ["ARCH=all", *([f"MIRROR={mirror}"] if mirror else []), *(["--offline"] if pinned.options.offline else [])]
    for arch in pinned.toolchain.vmlinux:
        pinned.vmlinux(arch)
    project.build("-j2", *arguments)
    names = {path.name.removesuffix(".c") for path in PROGRAMS.glob("*.bpf.c")}
    assert {path for path in project.stats() if path.endswith(".bpf.o")} == {
        f"{arch}/{name}.o" for arch in pinned.toolchain.vmlinux for name in names
    }
    assert project.build(*arguments) == set()
