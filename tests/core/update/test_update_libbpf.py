"""[libbpf] pinned to libbpf's newest release, by the archive that the pin names, and what changes in its headers."""

import pytest
import tomllib
from archives import tar
from artifact_world import Heard, digest
from fake_github import FakeGitHub
from faultserver import body

from ebpfbuild.errors import FetchError, MismatchError, PinError
from ebpfbuild.fetch.store import Store, sha256sums
from ebpfbuild.minimize.header_changes import ADDED, CHANGED, REMOVED
from ebpfbuild.pins.edit import TomlFile
from ebpfbuild.pins.toolchain import load
from ebpfbuild.update.libbpf import (LibbpfReport, libbpf_changes, libbpf_data, libbpf_markdown, libbpf_text, newest_release, repin_libbpf,
                                     require_own, words_used)

OLD = {
    "bpf_helpers.h": b"#define SEC(name) \\\n\told\n#define __uint(name, val) 1\n#define GONE 1\n/* same */\n",
    "bpf_helper_defs.h": b"static long (* const bpf_a)(int x) = (void *) 1;\nstatic long (* const bpf_b)(void) = (void *) 2;\n",
}
NEW = {
    "bpf_helpers.h": b"#define SEC(name) \\\n\tnew\n#define __uint(name,   val) 1\n\nstatic inline int fresh(void)\n{\n\treturn 1;\n}\n",
    "bpf_helper_defs.h": OLD["bpf_helper_defs.h"].replace(b"(void)", b"(long)"),
}
TEXT = """\
[compiler]
package = "ziglang"
version = "22.1.8"

[libbpf]
version = "1.5.0"       # matches what loads it
sha256 = "{tree}"
files = [
    "bpf_helper_defs.h",
    "bpf_helpers.h",
]

[[libbpf.source]]
pool = "pool/main/libb/libbpf/libbpf-dev_1.5.0-3_amd64.deb"
folder = "usr/include/bpf"

[[libbpf.source]]
url = "https://github.com/libbpf/libbpf/archive/refs/tags/v1.5.0.tar.gz"
folder = "libbpf-1.5.0/src"
archive_sha256 = "{archive}"

# of servers
[vmlinux.x86_64]
kernel = "6.19"
path = "v.h"
"""


def tree_of(files):
    return digest(sha256sums({name: digest(data) for name, data in files.items()}))


@pytest.fixture
def fake(tls_server):
    """A GitHub whose newest release is 1.6.2 with NEW, also as the archive of the tag."""
    fake = FakeGitHub(tls_server, "libbpf/libbpf")
    fake.release("v1.6.2", fake.commit({f"src/{name}": data for name, data in NEW.items()}, day="2025-07-01"))
    fake.archive = lambda files: tls_server.say(
        body(tar({f"libbpf-1.6.2/src/{name}": data for name, data in files.items()})), path="/github.com/libbpf/libbpf/archive/refs/tags/v1.6.2.tar.gz")
    fake.archive(NEW)
    return fake


@pytest.fixture
def file(tmp_path):
    (tmp_path / "toolchain.toml").write_text(TEXT.format(tree=tree_of(OLD), archive="d" * 64))
    return TomlFile(tmp_path / "toolchain.toml")


@pytest.fixture
def newest(fake, file, tmp_path):
    """Asks for the newest release, by a mirror: the archive's own host isn't on loopback."""
    def run(pin=None):
        github = fake.client(tmp_path, Heard(), mirror=fake.server.url(""))
        return newest_release(github, pin or load(file.path).libbpf, Store(tmp_path / "cache"))
    return run


def test_the_pin_becomes_the_newest_release_and_other_bytes_sources_go(file, newest, tmp_path):
    release = newest()
    assert (release.version, release.sha256, release.commit.day.isoformat()) == ("1.6.2", tree_of(NEW), "2025-07-01")
    assert repin_libbpf(file, release) == ["pool/main/libb/libbpf/libbpf-dev_1.5.0-3_amd64.deb"]
    file.check(None)
    file.write()
    text = file.path.read_text()
    assert 'version = "1.6.2"       # matches what loads it\n' in text and "\n# of servers\n[vmlinux.x86_64]" in text
    (source,) = tomllib.loads(text)["libbpf"]["source"]
    assert source["url"].endswith("/v1.6.2.tar.gz") and source["folder"] == "libbpf-1.6.2/src" and source["archive_sha256"] == release.archive_sha256
    files = Store(tmp_path / "cache").tree(tree_of(NEW))  # what the next build takes
    assert {name: path.read_bytes() for name, path in files.items()} == NEW
    assert newest(load(file.path).libbpf) is None


def test_an_archive_with_other_bytes_than_the_tag_s_commit_is_refused(fake, newest):
    fake.archive({**NEW, "bpf_helpers.h": NEW["bpf_helpers.h"] + b"#define EVIL 1\n"})
    with pytest.raises(MismatchError, match=r"holds another src/bpf_helpers.h than commit .* of the tag v1.6.2, and was not used; find out who"):
        newest()


def test_what_can_t_be_pinned_is_told(fake, file, newest):
    fake.say("releases/latest", {"tag_name": "libbpf-next"})
    with pytest.raises(FetchError, match="libbpf-next is no release that a pin can name"):
        newest()
    fake.say("releases/latest", {"tag_name": "v1.6.2"})
    release = newest()
    file.remove(("libbpf", "source", 1))
    with pytest.raises(PinError, match=r"libbpf.source: names no archive of libbpf/libbpf; add \[\[libbpf.source\]\] with url = "):
        repin_libbpf(file, release)
    file.path.write_text("[clang]\n")
    with pytest.raises(PinError, match="toolchain.toml: pins no libbpf itself; update the checkout of scons-bpf, whose pins count"):
        require_own(TomlFile(file.path))


def test_changes_of_macros_helpers_and_functions_and_who_uses_them(newest, tmp_path):
    for name, data in OLD.items():
        (tmp_path / name).write_bytes(data)
    changes = libbpf_changes({name: tmp_path / name for name in OLD}, NEW)
    assert {name: [(each.how, each.name) for each in found] for name, found in changes.items()} == {
        "bpf_helpers.h": [(REMOVED, "GONE"), (CHANGED, "SEC"), (ADDED, "fresh")], "bpf_helper_defs.h": [(CHANGED, "bpf_b")]}
    used = words_used(changes, "one", ['SEC("x") int f(void) { return bpf_a(1); }'])
    report = LibbpfReport("1.5.0", newest(), changes, used, ["pool/x.deb"])
    text = libbpf_text(report)
    assert "libbpf: 1.5.0 -> 1.6.2, commit " in text and "  bpf_helpers.h: 1 added, 1 removed, 1 changed\n" in text
    assert "of these changes our program one uses:\n" in text and "~ SEC: #define SEC(name) \\ old -> #define SEC(name) \\ new (bpf_helpers.h)" in text
    assert "no longer a source, since it has 1.5.0's bytes: pool/x.deb" in text
    assert "- `bpf_helper_defs.h`: 0 added, 0 removed, 1 changed\n" in libbpf_markdown(report)
    data = libbpf_data(report)
    assert data["version"] == {"old": "1.5.0", "new": "1.6.2"} and {each["name"] for each in data["headers"]} == NEW.keys()
    assert [each["used_by"] for header in data["headers"] for each in header["changes"] if each["name"] == "SEC"] == [["one"]]
