"""`scons fetch`, `scons vendor`, and builds from a vendor folder: nothing else is asked, and what it lacks is listed."""

import hashlib
import shutil

import pytest
from ebpfbuild.fetch.store import sha256sums
from ebpfbuild.link.libraries import this_machine
from ebpfbuild.vendor.artifacts import library_pins
from ebpfbuild.vendor.folder import VendorContent, write_vendor
from scons_project import ROOT

pytestmark = pytest.mark.usefixtures("one_program")
ORIGIN = "https://example.invalid/a"


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def vendored(project, tmp_path):
    """The test project, its pins moved to a host that isn't there, and a vendor folder beside it that holds them."""
    for path in ("pins/x86_64.h", "pins/aarch64.h", "pins/s390x.h", "pins/libbpf.tar.gz"):
        project.edit("toolchain.toml", f'path = "{path}"', f'url = "{ORIGIN}/{path}"')
    with open(project.folder / "toolchain.toml", "a") as pins:
        pins.write('\n[linker]\nglibc = "2.38"\n')  # and no libraries: nothing here links
    helpers = (project.folder / "pins/bpf/bpf_helpers.h").read_bytes()
    bodies = [(project.folder / f"pins/{arch}.h").read_bytes() for arch in ("x86_64", "aarch64")]
    bodies += [helpers, sha256sums({"bpf_helpers.h": digest(helpers)})]
    store = tmp_path / "other-store"
    store.mkdir()
    for data in bodies:
        (store / digest(data)).write_bytes(data)
    digests = tuple(map(digest, bodies))
    write_vendor(project.folder / "v", VendorContent(("x86_64",), ("3.11",), ("x86_64", "aarch64"), digests, lambda folder: None), store)
    return project


def test_a_build_from_it_and_a_release(vendored):
    assert "x86_64/one.bpf.o" in vendored.build("ARCH=x86_64", "MIRROR=v")
    assert vendored.build("ARCH=x86_64", "--offline") == set()
    assert "aarch64/one.bpf.o" in vendored.build("ARCH=aarch64", "MIRROR=v")


def test_all_that_it_lacks_is_listed_and_no_host_is_asked(vendored):
    for path in (vendored.folder / "v/sha256").iterdir():
        if b"bpf_helpers.h" in path.read_bytes():
            path.unlink()
    text = vendored.fails("ARCH=x86_64,s390x", "MIRROR=v")
    assert "lacks 2 of the pinned files, and nothing else is asked; make it anew where there is a network" in text
    assert "vmlinux.s390x.sha256: vmlinux.h for s390x (Linux 6.19), sha256 " in text and ", which vendor.json lists" in text
    assert "example.invalid" not in text
    assert not (vendored.folder / "build/x86_64/one.bpf.o").exists()


def test_edited_bytes_in_it_are_refused(vendored):
    for path in (vendored.folder / "v/sha256").iterdir():
        path.write_bytes(path.read_bytes() + b"\n")
    assert "is not the pinned" in vendored.fails("ARCH=x86_64", "MIRROR=v")


def test_fetch_fills_the_store_and_builds_nothing(vendored):
    done = vendored.scons("fetch", "ARCH=x86_64,aarch64", "MIRROR=v")
    assert done.returncode == 0, done.stderr
    assert "vmlinux.h for aarch64 (Linux 6.19)" in done.stdout and "3 artifacts are in " in done.stdout
    assert not (vendored.folder / "build/x86_64").exists()
    assert "aarch64/one.bpf.o" in vendored.build("ARCH=aarch64", "--offline")


def test_fetch_tells_all_that_cannot_be_had(vendored):
    text = vendored.fails("fetch", "ARCH=x86_64,s390x", "--offline")
    assert "3 of 3 artifacts can't be had" in text
    assert "vmlinux.h for s390x" in text and "libbpf 1" in text


@pytest.mark.parametrize("words, said", [
    (["vendor"], "vendor writes one folder; name it: ./sconsw vendor FOLDER ARCH=all"),
    (["vendor", "a", "b"], "vendor writes one folder; name it"),
    (["vendor", "pins"], "pins: is there, and no vendor folder; name a new folder, or one that an earlier `vendor` made"),
    (["vendor", "/proc/x/y"], "/proc/x/y: can't be written: No such file or directory; name one in a folder where you may write"),
    (["vendor", "a", "PYTHONS=3.9"], "PYTHONS: 3.9: no Python that sconsw runs with"),
    (["vendor", "a", "HOSTS=vax"], "HOSTS: no arch is called 'vax'"),
])
def test_what_vendor_refuses(vendored, words, said):
    """Before anything is fetched."""
    text = vendored.fails(*words, "ARCH=x86_64", "MIRROR=v")
    assert said in text and "vmlinux.h for x86_64" not in text
    assert not (vendored.folder / "a").exists() and not (vendored.cache / "sha256").exists()


def test_a_failed_vendor_leaves_nothing(vendored, pinned):
    """It has the artifacts by then, those of the tests too: these are put into the store here."""
    blobs = vendored.cache / "sha256"
    blobs.mkdir(parents=True)
    for tree in library_pins(ROOT / "tests/libraries.toml", [this_machine()[0]]):
        for path in [*pinned.tree(tree).values(), pinned.options.cache / "sha256" / tree.sha256]:
            shutil.copy(path, blobs)
    text = vendored.fails("vendor", "new", "ARCH=x86_64", "MIRROR=v", PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_CONFIG_FILE="/dev/null")
    assert "pip can't get the wheels for " in text
    assert " 1.1.2-0+deb12u1, " in text
    assert not [path.name for path in vendored.folder.iterdir() if "new" in path.name]
