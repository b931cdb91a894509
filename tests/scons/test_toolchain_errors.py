"""What is not the pinned artifact, seen through real scons: named as what it is, not used, and nothing left behind."""

import pytest

BASE = "https://example.invalid/headers"


@pytest.fixture
def mirrored(project):
    """The test project with its x86_64 header at a URL, and a folder that mirrors it; returns what lays bytes there."""
    project.edit("toolchain.toml", 'path = "pins/x86_64.h"', f'url = "{BASE}/x86_64.h"')
    mirror = project.folder / "mirror/example.invalid/headers"
    mirror.mkdir(parents=True)

    def put(data):
        (mirror / "x86_64.h").write_bytes(data)
        return project

    return put


def fails(project):
    """What a build with that mirror says, offline; the header isn't in the build folder afterwards."""
    text = project.fails("ARCH=x86_64", "MIRROR=mirror", "--offline")
    assert not (project.folder / "build/x86_64/include/vmlinux.h").exists()
    return text


def test_a_mirror_that_has_the_header_serves_offline(mirrored):
    project = mirrored((mirrored(b"").folder / "pins/x86_64.h").read_bytes())
    assert "x86_64/one.bpf.o" in project.build("ARCH=x86_64", "MIRROR=mirror", "--offline")


def test_a_page_instead_of_a_header(mirrored):
    text = fails(mirrored(b"<!DOCTYPE html><html><body>Please sign in</body></html>\n"))
    assert "what arrived as vmlinux.h for x86_64 (Linux 6.19) is an HTML page, and was not used" in text
    assert "toolchain.toml:" in text and "vmlinux.x86_64.sha256" in text
    kept = text.partition("kept      ")[2].splitlines()[0]
    assert "Please sign in" in open(kept).read()


def test_an_unresolved_symlink_names_the_file_to_pin(mirrored):
    text = fails(mirrored(b"vmlinux_6.19.h"))
    assert "only the file name 'vmlinux_6.19.h', an unresolved symlink" in text
    assert "pin the file that it points to" in text and "/example.invalid/headers/vmlinux_6.19.h" in text


def test_a_stub_of_a_kernel_without_btf(project):
    (project.folder / "pins/x86_64.h").write_text("#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n#endif\n")
    project.pin()
    text = project.fails("ARCH=x86_64")
    assert "is no vmlinux.h" in text and "CONFIG_DEBUG_INFO_BTF=y" in text
    assert not (project.folder / "build/x86_64/include/vmlinux.h").exists()


def test_a_local_header_that_was_not_made_yet_tells_how(project):
    (project.folder / "pins/x86_64.h").unlink()
    text = project.fails("ARCH=x86_64")
    assert "bpftool btf dump file /sys/kernel/btf/vmlinux format c > pins/x86_64.h" in text


@pytest.mark.parametrize(
    "argument, message",
    [
        ("MIRROR=mirrrr", "MIRROR: there is no folder '{root}/mirrrr'; name a folder or a URL"),
        ("MIRROR=ftp://x", "MIRROR=ftp://x: neither a folder nor an http(s) URL; write https://host/path or a folder"),
        ("CACHE=grpc://x", "CACHE=grpc://x: neither a folder nor an http(s) URL; write https://host/path or a folder"),
    ],
)
def test_a_place_that_is_none_is_told_before_anything_is_made(project, argument, message):
    """Also by a build that has nothing to fetch and nothing to compile, and no output is blamed."""
    text = project.fails("ARCH=x86_64", argument, "src/one.bpf.c")
    assert text.splitlines()[0] == f"scons: *** {message.format(root=project.folder)}  Stop."


@pytest.mark.parametrize("mirror", [
    "http://user:S3cr3t@h", "//user:S3cr3t@h", "user:S3cr3t@h:80/x", "https:/user:S3cr3t@h/x", "ftp://user:S3cr3t@h", "HTTP://user:S3cr3t@h/",
    "https://h/?token=S3cr3t", "https://h/#S3cr3t", "https:\\\\user:S3cr3t@h", "https://user:S3cr3t%40h", "user:S3cr3t＠h"])
def test_a_password_in_a_mirror_is_never_echoed(project, mirror):
    text = project.fails("ARCH=x86_64", f"MIRROR={mirror}", "build/x86_64/include/vmlinux.h")
    assert "MIRROR: " in text and "S3cr3t" not in text
    paths = [path for path in project.folder.parent.rglob("*") if path.is_file()]
    assert not [path for path in paths if b"S3cr3t" in path.read_bytes() or "S3cr3t" in path.name]


def test_names_that_steer_a_terminal_are_escaped(project):
    project.edit("SConstruct", "env.EbpfCheckArguments", 'env.BpfObject("src/one.bpf.c", name="\\x1b[2J/")\nenv.EbpfCheckArguments')
    assert "\x1b" not in project.fails("ARCH=x86_64")
    project.edit("SConstruct", 'env.BpfObject("src/one.bpf.c", name="\\x1b[2J/")\n', "")
    (project.folder / "src/one.bpf.c").write_text('#include "vmlinux.h"\nint x = "\x1b[2J\u202e";\n#warning \x1b[31m\n')
    text = project.fails("ARCH=x86_64")
    assert "one.bpf.c:2" in text and "\x1b" not in text and "\u202e" not in text


@pytest.mark.parametrize("given", ['"src/\\x1b[2J.bpf.c"', '"src/one.bpf.c", name="\\x1b[2J"', '"\\u202e/one.bpf.c"',
                                   '"src/one.bpf.c", depends=["\\x1b[2J"]'])
def test_no_message_of_scons_shows_them_raw(project, given):
    for text in ("", "int x;\n"):  # missing, and there
        for path in ("src/\x1b[2J.bpf.c", "\u202e/one.bpf.c"):
            (project.folder / path).parent.mkdir(exist_ok=True)
            if text:
                (project.folder / path).write_text(text)
        project.declare(f"env.BpfObject({given})\n")
        assert "\x1b" not in project.fails("ARCH=x86_64") and "\u202e" not in project.fails("ARCH=x86_64")


def test_warnings_that_steer_a_terminal_are_escaped(project):
    source = project.folder / "src/one.bpf.c"
    source.write_text(source.read_text() + "\n#warning \x1b[31m red\n")
    done = project.scons("ARCH=x86_64", "CFLAGS=-Wno-error")
    assert "[31m red" in done.stderr and "\x1b" not in done.stderr + done.stdout


def test_a_link_to_nothing_is_no_leave_to_take_other_pins(project):
    (project.folder / "toolchain.toml").unlink()
    (project.folder / "toolchain.toml").symlink_to("gone.toml")
    assert "toolchain.toml: there is no such file" in project.fails()
