"""The command `pins`: upstream on loopback, real programs, toolchain.toml rewritten, and each refusal in one line."""

import json
import re
import sys
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "core"))
from archives import tar  # noqa: E402
from fake_github import FakeGitHub, Link  # noqa: E402
from faultserver import body, serving  # noqa: E402
from loopback import CA_FOLDER  # noqa: E402

BASE = "https://raw.githubusercontent.com/libbpf/vmlinux.h"
TOKEN = "ghp_s3cr3tT0ken"
OFFLINE_LINKER = '\n[linker]\nglibc = "2.38"\n'  # and no libraries: nothing here links


@pytest.fixture
def github():
    """A GitHub as a mirror over TLS shows it."""
    with serving() as server:
        server.encrypt(CA_FOLDER / "server.pem")
        yield FakeGitHub(server)


def commit_of(github, folder, kernel, edit=("", ""), **more):
    """Adds a commit with the project's headers, that of x86_64 edited."""
    files = {}
    for arch in ("x86_64", "aarch64", "s390x"):
        data = (folder / f"pins/{arch}.h").read_text()
        data = data.replace(*edit) if arch == "x86_64" else data
        files |= {f"include/{arch}/vmlinux_{kernel}.h": data.encode(), f"include/{arch}/vmlinux.h": Link(f"vmlinux_{kernel}.h")}
    return github.commit({**files, "include/x86": Link("x86_64")}, **more)


@pytest.fixture
def project(project, github):
    """The test project, its headers those of an older commit of upstream; `newer` is the newest one."""
    project.older = commit_of(github, project.folder, "6.19", day="2026-02-23")
    project.newer = commit_of(github, project.folder, "6.20", ("int pid;", "unsigned int pid;\n\tint fresh;"))
    text = re.sub(r'path = "pins/(\w+)\.h"', r'url = "\1/vmlinux_6.19.h"', (project.folder / "toolchain.toml").read_text())
    head = f'# of the board\n[vmlinux]\nbase = "{BASE}/{project.older}/include"   # pinned\n\n[vmlinux.x86_64]'
    (project.folder / "toolchain.toml").write_text(text.replace("[vmlinux.x86_64]", head, 1) + OFFLINE_LINKER)
    dead = "http://127.0.0.1:1"  # the hosts that the mirror doesn't have
    project.environment = {"SSL_CERT_FILE": str(*CA_FOLDER.glob("*.0")), "no_proxy": "127.0.0.1", "https_proxy": dead, "http_proxy": dead}
    project.mirror = f"MIRROR={github.server.url('')}"
    return project


def pins(project, *words, **environment):
    """Runs `pins` with the mirror; returns what it printed where it succeeds."""
    done = project.scons("pins", *words, project.mirror, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_update_says_what_programs_use_and_writes_what_builds(project, github):
    before = (project.folder / "toolchain.toml").read_text()
    text = pins(project, "update", GITHUB_TOKEN=TOKEN)
    first, x86, *rest = text.splitlines()
    assert first == f"libbpf/vmlinux.h: {project.older[:12]} -> {project.newer[:12]} of 2026-08-18"
    assert re.fullmatch(r"x86_64   Linux 6.19 -> 6.20, \d+ -> \d+ bytes: types \+0 -0 ~1, members \+1 -0 ~1", x86)
    assert rest == ["aarch64  Linux 6.20, the same bytes", "s390x    Linux 6.20, the same bytes", "of these changes our 3 programs use:",
                    "  ~ struct task_struct: int pid -> unsigned int pid (x86_64: one)"]
    after = (project.folder / "toolchain.toml").read_text()
    assert f'# of the board\n[vmlinux]\nbase = "{BASE}/{project.newer}/include"   # pinned\ndate = 2026-08-18\n' in after
    assert before.split("[vmlinux]")[0] == after.split("[vmlinux]")[0] and after.endswith(OFFLINE_LINKER)
    assert not [each for each in github.server.headers if TOKEN in str(each)]  # the mirror is not GitHub
    assert "x86_64/one.bpf.o" in project.build("ARCH=x86_64", "--offline")  # from the store
    assert pins(project, "update").endswith("toolchain.toml has the bytes of the newest commit; nothing to write\n")
    listed = pins(project)
    assert re.search(rf"vmlinux.x86_64 +Linux 6.20 +\w{{12}} +\d+ days +yes +toolchain.toml:\d+ +{BASE}/{project.newer}/", listed)
    data = json.loads(pins(project, "--json"))
    assert {each["key"]: each["in_store"] for each in data}["vmlinux.aarch64"] is True

    data = json.loads(pins(project, "update", "--commit", project.older[:7], "--json"))  # and back
    (x86,) = [each for each in data["headers"] if each["arch"] == "x86_64"]
    assert data["commit"] == {"old": project.newer, "new": project.older, "date": "2026-02-23"}
    assert x86["changes"][0]["used_by"]["one"] == ["pid"]
    assert tomllib.loads((project.folder / "toolchain.toml").read_text())["vmlinux"]["x86_64"]["url"] == "x86_64/vmlinux_6.19.h"


def test_a_header_is_added_to_a_file_that_inherits(project, github):
    (project.folder / "toolchain.toml").write_text("[clang]\ncflags = []     # ours\n")
    project.declare("")  # no program: libbpf's headers aren't asked for
    for words, said in ((["update"], "toolchain.toml: pins no header of libbpf/vmlinux.h itself; pin one here: ./sconsw pins add x86_64; or update"),
                        (["update", "libbpf"], "toolchain.toml: pins no libbpf itself; update the checkout of scons-bpf, whose pins count")):
        assert said in project.fails("pins", *words, project.mirror)
    text = pins(project, "add", "arm64", "--commit", project.newer, "--markdown")
    assert text.startswith(f"### libbpf/vmlinux.h: [`{project.newer[:12]}`](https://github.com/libbpf/vmlinux.h/commit/{project.newer}) of")
    written = (project.folder / "toolchain.toml").read_text()
    assert written.startswith('[clang]\ncflags = []     # ours\n\n[vmlinux.aarch64]\nkernel = "6.20"\n') and "date = 2026-08-18\n" in written
    assert "toolchain.toml: vmlinux.aarch64: is pinned already; have it updated" in project.fails("pins", "add", "aarch64", project.mirror)


def test_libbpf_s_newest_release_is_pinned_and_programs_words_count(project, github):
    server, old = github.server, (project.folder / "pins/bpf/bpf_helpers.h").read_bytes()
    new = old.replace(b"#define SEC(", b"#define FRESH 1\n#define SEC(").replace(b"__attribute__((section", b"__attribute__((used, section")
    libbpf, archive = FakeGitHub(server, "libbpf/libbpf"), "https://github.com/libbpf/libbpf/archive/refs/tags/v"
    libbpf.release("v1.6.2", libbpf.commit({"src/bpf_helpers.h": new}, day="2025-07-01"))
    for version, data in (("1", old), ("1.6.2", new)):
        server.say(body(tar({f"libbpf-{version}/src/bpf_helpers.h": data})), path=f"/github.com/libbpf/libbpf/archive/refs/tags/v{version}.tar.gz")
    project.edit("toolchain.toml", 'path = "pins/libbpf.tar.gz"\nfolder = "bpf"', f'url = "{archive}1.tar.gz"\nfolder = "libbpf-1/src"  # ours')
    text = pins(project, "update", "libbpf", "--all")
    assert text.startswith("libbpf: 1 -> 1.6.2, commit ") and "\n  bpf_helpers.h: 1 added, 0 removed, 1 changed\n" in text
    assert "of these changes our 3 programs use:\n  ~ SEC: " in text and "(bpf_helpers.h: one, three, two)" in text
    table = tomllib.loads((project.folder / "toolchain.toml").read_text())["libbpf"]
    assert (table["version"], table["source"]) == ("1.6.2", [{"url": f"{archive}1.6.2.tar.gz", "folder": "libbpf-1.6.2/src"}])
    assert "# ours" in (project.folder / "toolchain.toml").read_text()
    assert pins(project, "update", "libbpf").endswith("toolchain.toml has libbpf 1.6.2; nothing newer is released\n")
    assert (project.folder / "build/libbpf/include/bpf/bpf_helpers.h").read_bytes() == new


def test_a_program_that_includes_what_is_not_made_yet_is_told(project):
    project.edit("src/one.bpf.c", '#include "shared.h"', '#include "shared.h"\n#include "gen.h"')
    project.edit("SConstruct", "for name in", "env.Command('include/gen.h', [], 'touch $TARGET')\nfor name in")
    text = project.fails("pins", "update", project.mirror)
    assert "src/one.bpf.c:4:10: 'gen.h' file not found; build it once before: what the build generates isn't made for this" in text
    assert project.older in (project.folder / "toolchain.toml").read_text()
    assert "src/one.bpf.c:4:10: 'gen.h' file not found" in project.fails("why", "task_struct", "ARCH=x86_64", project.mirror)


def test_a_check_asks_each_source_and_fails_where_one_has_other_bytes(project, github):
    pins(project, "update")
    url = f"/raw.githubusercontent.com/libbpf/vmlinux.h/{project.newer}/include/x86_64/vmlinux_6.20.h"
    github.server.say(body(b"#ifndef other\n" * 50), path=url)
    done = project.scons("pins", "check", project.mirror)
    assert done.returncode == 2 and "scons: *** [pins] not all pins hold" in done.stderr
    assert re.search(r"^same +vmlinux.aarch64: https://", done.stdout, re.M) and re.search(r"^same +libbpf: pins/libbpf.tar.gz$", done.stdout, re.M)
    assert re.search(r"^differs +vmlinux.x86_64: .*\n  from .*\n  expected .*\n  got .*\n  kept .*$", done.stdout, re.M)
    assert re.search(r"^4 of \d+ sources have the pinned bytes", done.stdout, re.M) or re.search(r"^3 of \d+ sources", done.stdout, re.M)


@pytest.mark.parametrize("words, said", [
    (["updaet"], "pins knows no 'updaet'; did you mean update?"),
    (["update", "x86_64"], "pins update x86_64: not understood; pins takes nothing, update [libbpf] [--commit ID], add [--from FILE] ARCH, add --btf FILE KERNEL, or check"),
    (["update", "libbpf", "--commit", "1234567"], "--commit: is of libbpf/vmlinux.h; it goes with pins update and pins add ARCH"),
    (["--markdown"], "--markdown: says what a change means; it goes with pins update and pins add ARCH"),
    (["check", "--all"], "--all: lists more; it goes with pins, pins update and pins add ARCH"),
    (["update", "-n"], "pins update: does nothing with -n; run it without, and look at git diff"),
    (["add", "x87"], "pins add: no arch is called 'x87'"),
    (["update", "--commit", "deadbee"], "/commits/deadbee: "),
    (["update", "--offline"], "libbpf/vmlinux.h can't be asked, and --offline connects to nothing; run this without --offline, or give MIRROR=FOLDER"),
])
def test_each_refusal_is_a_line_and_leaves_the_file(project, words, said):
    before = (project.folder / "toolchain.toml").read_text()
    text = project.fails("pins", *words, project.mirror, GITHUB_TOKEN=TOKEN)
    assert said in text and TOKEN not in text
    assert (project.folder / "toolchain.toml").read_text() == before
