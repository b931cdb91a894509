"""Headers of libbpf/vmlinux.h at a commit: found through symlinks, checked, and written into toolchain.toml."""

from datetime import date
from pathlib import Path

import pytest
import tomllib
from artifact_world import Heard, digest
from fake_github import FakeGitHub, Link

from ebpfbuild.arch import BY_NAME
from ebpfbuild.errors import EbpfError, FetchError, HeaderError, PinError
from ebpfbuild.fetch.store import Store
from ebpfbuild.pins.edit import TomlFile
from ebpfbuild.pins.toolchain import load
from ebpfbuild.update.headers import add_header, base_of, default_commit, find_header, repin, require_upstream, upstream_arches

HEADER = "#ifndef __VMLINUX_H__\n\nstruct pt_regs {{\n\tlong {};\n}};\n\n#endif\n"
X86, ARM64 = (HEADER.format(register).encode() for register in ("orig_ax", "orig_x0"))
NEWER = X86.replace(b"long", b"int")
OLD_ID = "1" * 40
TEXT = f"""\
[compiler]
package = "ziglang"
version = "22.1.8"

[libbpf]
version = "1"
files = ["a.h"]
source = [{{ path = "a.tar.gz", folder = "a" }}]

[vmlinux]
base = "{base_of(OLD_ID)}"      # one commit
date = 2026-02-23

# of servers
[vmlinux.x86_64]
kernel = "6.19"         # not 6.18
url = "x86/vmlinux_6.19.h"
sha256 = "{digest(X86)}"
size = {len(X86)}

[[vmlinux.x86_64.alternate]]
kernel = "6.1"
url = "x86/vmlinux_6.1.h"
sha256 = "{"e" * 64}"

[vmlinux.aarch64]
kernel = "6.19"
url = "{base_of("main")}/aarch64/vmlinux_6.19.h"
sha256 = "{digest(ARM64)}"

[vmlinux.arm]
kernel = "6.1"
path = "own.h"
"""


@pytest.fixture
def fake(tls_server):
    return FakeGitHub(tls_server)


@pytest.fixture
def file(tmp_path):
    """TEXT, as a TomlFile."""
    (tmp_path / "toolchain.toml").write_text(TEXT)
    return TomlFile(tmp_path / "toolchain.toml")


@pytest.fixture
def find(fake, tmp_path):
    """A function: an arch -> its header at the newest commit, as the pins of TEXT are replaced by it, and the commit."""

    def run(arch="x86_64", old=None):
        github, store = fake.client(tmp_path, Heard()), Store(tmp_path / "cache")
        commit = github.newest()
        return find_header(github, github.tree(commit.id), commit, BY_NAME[arch], old, store), commit

    return run


def files_of(x86=NEWER, name="6.20"):
    return {
        f"include/x86_64/vmlinux_{name}.h": x86,
        "include/x86_64/vmlinux.h": Link(f"vmlinux_{name}.h"),
        "include/x86": Link("x86_64"),
        f"include/arm64/vmlinux_{name}.h": ARM64,
        "include/arm64/vmlinux.h": Link(f"vmlinux_{name}.h"),
        "include/aarch64": Link("arm64"),
    }


def test_a_pin_becomes_that_of_the_newest_commit_and_its_comments_stay(file, find, fake):
    newest = fake.commit(files_of())
    pins = load(file.path).vmlinux
    assert upstream_arches(file, pins.values()) == ["x86_64", "aarch64"]
    found = [find(arch, pins[arch])[0] for arch in ("x86_64", "aarch64")]
    assert [(each.kernel, each.path, each.sha256) for each in found] == [
        ("6.20", "x86_64/vmlinux_6.20.h", digest(NEWER)), ("6.20", "arm64/vmlinux_6.20.h", digest(ARM64))]
    repin(file, found, find()[1])
    file.check(None)
    file.write()
    text = file.path.read_text()
    assert f'base = "{base_of(newest)}"      # one commit\ndate = 2026-08-18\n' in text
    assert f'# of servers\n[vmlinux.x86_64]\nkernel = "6.20"         # not 6.18\nurl = "x86_64/vmlinux_6.20.h"\nsha256 = "{digest(NEWER)}"\n' in text
    data = tomllib.loads(text)["vmlinux"]
    assert data["x86_64"]["alternate"][0]["url"] == f"{base_of(OLD_ID)}/x86/vmlinux_6.1.h"
    assert data["aarch64"] == {"kernel": "6.20", "url": f"{base_of(newest)}/arm64/vmlinux_6.20.h", "sha256": digest(ARM64),
                               "size": len(ARM64), "date": date(2026, 8, 18)}
    assert data["arm"] == {"kernel": "6.1", "path": "own.h"}
    chain = load(file.path)
    assert chain.header("x86_64").day == date(2026, 8, 18) and chain.header("x86_64").alternates[0].sha256 == "e" * 64


def test_bytes_that_the_store_has_are_not_fetched_again(file, find, fake, tmp_path):
    fake.commit(files_of(X86))
    Store(tmp_path / "cache").add(X86)
    assert find("x86_64", load(file.path).vmlinux["x86_64"])[0].sha256 == digest(X86)
    assert not [path for path in fake.server.seen if path.endswith("vmlinux_6.20.h")]


def test_a_header_is_added_below_the_base_of_its_commit_or_by_its_whole_url(tmp_path, find, fake):
    newest = fake.commit(files_of())
    header, commit = find("aarch64")
    (tmp_path / "below.toml").write_text(f'[vmlinux]\nbase = "{base_of(newest)}"\ndate = 2026-08-18\n')
    for name, url, day in (("below.toml", "arm64/vmlinux_6.20.h", None), ("new.toml", f"{base_of(newest)}/arm64/vmlinux_6.20.h", commit.day)):
        file = TomlFile(tmp_path / name)
        add_header(file, header, commit)
        file.write()
        table = tomllib.loads((tmp_path / name).read_text())["vmlinux"]["aarch64"]
        assert (table["url"], table.get("date"), table["size"]) == (url, day, len(ARM64))


@pytest.mark.parametrize("files, kind, said", [
    ({"include/arm/vmlinux.h": b""}, FetchError, "has no include/x86_64/vmlinux.h: include/x86_64 isn't there"),
    ({"include/x86_64/vmlinux.h": X86}, FetchError, "doesn't tell its kernel, as include/x86_64/vmlinux_6.19.h does; take another commit: --commit ID"),
    (files_of(ARM64), HeaderError, "its struct pt_regs is aarch64's"),
    (files_of(X86 + b'#include "/etc/passwd"\n'), HeaderError, 'holds `#include "/etc/passwd"`'),
])
def test_a_commit_without_a_fitting_header_is_refused(find, fake, files, kind, said):
    fake.commit(files)
    with pytest.raises(kind) as caught:
        find()
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_pin_nothing_of_upstream_and_arches_that_it_lacks_are_refused(tmp_path):
    (tmp_path / "toolchain.toml").write_text('[vmlinux.arm]\nkernel = "1"\npath = "v.h"\n')
    file = TomlFile(tmp_path / "toolchain.toml")
    chain = load(tmp_path / "toolchain.toml", Path(__file__).resolve().parents[3] / "toolchain.toml")
    with pytest.raises(PinError, match="pins no header of libbpf/vmlinux.h itself; pin one here: ./sconsw pins add x86_64; or update"):
        upstream_arches(file, chain.vmlinux.values())
    with pytest.raises(PinError, match="libbpf/vmlinux.h has no header of mips64; make it on such a machine"):
        require_upstream(BY_NAME["mips64"])


def test_one_more_header_is_of_the_commit_that_the_others_have(file):
    pins = load(file.path).vmlinux
    assert default_commit(pins.values()) == OLD_ID and default_commit([pins["aarch64"], pins["arm"]]) == ""


def test_what_no_build_would_take_is_not_written(file, find, fake):
    """The alternate has the new pin's bytes."""
    fake.commit(files_of())
    file.path.write_text(TEXT.replace("e" * 64, digest(NEWER)))
    file = TomlFile(file.path)
    repin(file, [find()[0]], find()[1])
    with pytest.raises(EbpfError, match=r"toolchain.toml:\d+: vmlinux.x86_64.alternate\[0\].sha256: is that of the pin itself"):
        file.check(None)
