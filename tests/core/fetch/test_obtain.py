"""Pinned artifacts end to end: the store, the mirror, the origin, apt's archives, the alternates; what is refused."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from artifact_world import DEB, FILES, HEADER, OTHER, POOL, TREE, digest
from faultserver import body
from archives import tar

from ebpfbuild.pins import toolchain
from ebpfbuild.fetch.obtain import obtain_header, obtain_tree
from ebpfbuild.fetch.options import FetchOptions
from ebpfbuild.console import Reporter
from ebpfbuild.errors import ArchiveError, CacheError, FetchError, MismatchError, OfflineError, PinError

ROOT = Path(__file__).resolve().parents[3]


def test_the_origin_once_and_then_the_cache(world):
    got = world.header()
    assert got.path.read_bytes() == HEADER and got.path.parent == world.cache / "sha256"
    assert (got.sha256, got.size, got.kernel, got.alternate) == (digest(HEADER), len(HEADER), "6.19", False)
    assert got.source == world.server.url("/vmlinux.h") and got.via == world.server.host
    assert world.heard.fetched == [("vmlinux.h for x86_64 (Linux 6.19)", len(HEADER), world.server.host)]
    again = world.header()
    assert again == replace(got, via="the cache") and world.server.seen == ["/vmlinux.h"]
    assert world.header(offline=True) == again and not world.heard.notices


def test_a_corrupt_cache_entry_is_fetched_anew_with_a_notice(world):
    path = world.header().path
    path.chmod(0o644)
    path.write_bytes(HEADER[:-1])
    assert world.header().path.read_bytes() == HEADER
    assert len(world.server.seen) == 2 and "was corrupt" in world.heard.notices[0]


def test_a_tree_has_one_digest_and_two_sources(world):
    got = world.tree()
    assert {name: path.read_bytes() for name, path in got.files.items()} == FILES
    assert (got.source, got.sha256) == (world.server.url("/libbpf.tar.gz"), TREE)
    assert replace(got, via="the cache") == world.tree(offline=True)


def test_a_tree_from_the_pool_where_the_first_source_is_down(world):
    world.down("/libbpf.tar.gz")
    got = world.tree(release=True)
    assert {name: path.read_bytes() for name, path in got.files.items()} == FILES and got.source == POOL
    assert world.server.seen == ["/libbpf.tar.gz", f"/empty/debian/{POOL}", f"/debian/{POOL}"]


def test_a_tree_with_a_damaged_file_in_the_cache_is_made_whole(world):
    path = world.tree().files["bpf_helpers.h"]
    path.unlink()
    assert world.tree().files["bpf_helpers.h"].read_bytes() == FILES["bpf_helpers.h"]


def test_a_tree_with_other_bytes_is_a_mismatch(world):
    other = tar({f"libbpf/src/{name}": data + b" " for name, data in FILES.items()})
    world.server.say(body(other), path="/libbpf.tar.gz")
    with pytest.raises(MismatchError, match=r"toolchain.toml:6: libbpf.sha256: what arrived is not the pinned libbpf"):
        world.tree()
    assert world.server.seen == ["/libbpf.tar.gz"], "wrong bytes are shown, not passed over"


def test_a_page_instead_of_an_archive_is_named(world):
    world.server.say(body(b"<html>log in</html>"), path="/libbpf.tar.gz")
    with pytest.raises(MismatchError, match="is an HTML page"):
        world.tree()


def test_a_page_in_a_mirror_folder_is_no_case_for_a_browser(world):
    world.put(f"{world.server.host}/vmlinux.h", b"<html>log in</html>")
    with pytest.raises(MismatchError, match="is an HTML page") as caught:
        world.header(mirror=str(world.mirror))
    assert "browser" not in caught.value.fix and "replace that file" in caught.value.fix
    assert not (world.cache / "sha256" / digest(b"<html>log in</html>")).exists()


def test_what_is_wrong_with_an_archive_out_of_the_cache_is_told_by_its_declared_name(world):
    pooled = (f'pool = "{POOL}"\nfolder', f'pool = "{POOL}"\narchive_sha256 = "{digest(DEB)}"\nfolder')
    world.down("/libbpf.tar.gz")
    world.pins(*pooled)
    world.tree()
    world.pins(*pooled, TREE, digest(b"others"))
    with pytest.raises(MismatchError) as caught:
        world.tree()
    assert caught.value.details[0] == f"from      {POOL}"


def test_an_archive_without_the_file_names_archive_and_file(world):
    world.server.say(body(tar({"libbpf/src/bpf_helpers.h": b""})), path="/libbpf.tar.gz")
    message = r"toolchain.toml:9: libbpf.source\[0\].url: http.*holds no libbpf/src/bpf_tracing.h"
    with pytest.raises(ArchiveError, match=message):
        world.tree()


def test_an_alternate_is_taken_with_a_notice_and_remembered_offline(world):
    world.down()
    got = world.header()
    assert got.path.read_bytes() == OTHER
    assert (got.alternate, got.kernel, got.source) == (True, "6.9", POOL)
    assert len(world.heard.notices) == 1
    assert world.heard.notices[0] == (
        f"took the alternate of Linux 6.9 from {POOL}, since vmlinux.h for x86_64 (Linux 6.19) can't be had "
        f"({world.server.url('/vmlinux.h')}: HTTP 404 Not Found)")
    assert world.header(offline=True).path == got.path
    got.path.unlink()
    assert world.header(offline=True).path.read_bytes() == OTHER, "the archive itself is in the cache"
    world.server.say(body(HEADER), path="/vmlinux.h")
    assert not world.header().alternate


def test_a_release_takes_no_alternate(world):
    world.down()
    with pytest.raises(FetchError) as caught:
        world.header(release=True)
    assert caught.value.what == ("no source of vmlinux.h for x86_64 (Linux 6.19) can be reached, "
                                 "and RELEASE=1 takes no alternate")
    assert caught.value.details == (f"{world.server.url('/vmlinux.h')}: HTTP 404 Not Found",)
    assert ":16: vmlinux.x86_64.url" in caught.value.where and "MIRROR=FOLDER with" in caught.value.fix


def test_every_source_is_listed_with_its_reason(world):
    world.down()
    world.down(f"/debian/{POOL}")
    with pytest.raises(FetchError) as caught:
        world.header()
    at = f"http://{world.server.host}"
    urls = (f"{at}/vmlinux.h", f"{at}/empty/debian/{POOL}", f"{at}/debian/{POOL}")
    assert caught.value.details == tuple(f"{url}: HTTP 404 Not Found" for url in urls)
    assert len(world.server.seen) == 3, "an absent file is asked for once"


def test_without_apt_the_pool_does_not_exist(world):
    (world.machine / "etc/apt/sources.list").unlink()
    world.down()
    with pytest.raises(FetchError) as caught:
        world.header()
    assert caught.value.details[1] == f"{POOL}: no Debian archive in this machine's apt configuration"


def test_wrong_bytes_at_the_origin_are_shown_and_no_alternate_is_taken(world):
    world.server.say(body(OTHER), path="/vmlinux.h")
    with pytest.raises(MismatchError):
        world.header()
    assert world.server.seen == ["/vmlinux.h"]


def test_a_folder_mirror_is_tried_first_and_serves_offline(world):
    world.put(f"{world.server.host}/vmlinux.h", HEADER)
    world.put(POOL, DEB)
    got = world.header(mirror=str(world.mirror), offline=True)
    assert (got.source, got.via) == (world.server.url("/vmlinux.h"), f"the mirror {world.mirror}")
    assert world.tree(mirror=f"file://{world.mirror}").source == POOL
    assert world.server.seen == []


def test_a_url_mirror_is_tried_first_and_never_offline(world):
    at = f"/mirror/{world.server.host}/vmlinux.h"
    world.server.say(body(HEADER), path=at)
    mirror = world.server.url("/mirror/")
    with pytest.raises(OfflineError):
        world.header(mirror=mirror, offline=True)
    assert world.server.seen == []
    assert world.header(mirror=mirror).path.read_bytes() == HEADER
    assert world.server.seen == [at]


def test_what_the_mirror_lacks_comes_from_the_origin(world):
    for mirror in (str(world.mirror), world.server.url("/mirror")):
        assert world.header(mirror=mirror, cache=world.folder / digest(mirror.encode())).via == world.server.host


def test_wrong_bytes_in_the_mirror_are_an_error_that_names_it(world):
    world.put(f"{world.server.host}/vmlinux.h", b"vmlinux_6.19.h")
    with pytest.raises(MismatchError, match="an unresolved symlink") as caught:
        world.header(mirror=str(world.mirror))
    assert caught.value.details[0] == f"from      {world.mirror}/{world.server.host}/vmlinux.h"
    assert caught.value.fix.endswith(f"{world.mirror}/{world.server.host}/vmlinux_6.19.h")
    assert world.server.seen == []


@pytest.mark.parametrize("mirror", ["/no/such/folder", "file:///no/such", "ftp://a.example", "http://", "http://[::1",
                                    "https://me:secret@a.example", "https://a.example/?x"])
def test_a_mirror_that_can_not_be_one_is_told(world, mirror):
    with pytest.raises(FetchError, match="^MIRROR(=\\S+)?: "):
        world.header(mirror=mirror)
    assert world.server.seen == []


def test_offline_says_what_is_missing_and_every_way_to_get_it(world):
    with pytest.raises(OfflineError) as caught:
        world.header(offline=True)
    text = str(caught.value)
    for part in ("toolchain.toml:16: vmlinux.x86_64.url: ", "vmlinux.h for x86_64 (Linux 6.19)",
                 "run once without --offline", f"MIRROR=FOLDER with {world.server.host}/vmlinux.h in it", "EBPF_CACHE",
                 str(world.cache), POOL):
        assert part in text
    with pytest.raises(OfflineError, match="libbpf 1.5.0 is not in the cache"):
        world.tree(offline=True)
    assert world.server.seen == []


def test_an_unpinned_header_is_had_told_and_not_used(world):
    pinned = f'url = "http://{world.server.host}/vmlinux.h"\nsha256 = "{digest(HEADER)}"\nsize = {len(HEADER)}\n'
    world.pins(pinned, 'url = "https://origin.invalid/vmlinux.h"\n')
    with pytest.raises(PinError, match="has no sha256, and its bytes can't be had to compute one") as caught:
        world.header(offline=True)
    assert caught.value.details == ("https://origin.invalid/vmlinux.h: not asked, --offline connects to nothing",)
    world.put("origin.invalid/vmlinux.h", HEADER)
    with pytest.raises(PinError, match=r"toolchain.toml:14: vmlinux.x86_64: .* if you trust it, paste") as caught:
        world.header(mirror=str(world.mirror))
    assert caught.value.details == (f'sha256 = "{digest(HEADER)}"', f"size = {len(HEADER)}")
    assert list(world.cache.glob("sha256/*")) == [] and world.server.seen == []


def test_an_unpinned_tree_is_had_told_and_not_used(world):
    world.pins(f'sha256 = "{TREE}"\n', "", f"http://{world.server.host}/libbpf", "https://origin.invalid/libbpf")
    world.put("origin.invalid/libbpf.tar.gz", tar({f"libbpf/src/{name}": data for name, data in FILES.items()}))
    with pytest.raises(PinError) as caught:
        world.tree(mirror=str(world.mirror))
    assert caught.value.details == (f'sha256 = "{TREE}"',)


def test_a_cache_that_can_not_be_written_is_one_error(world):
    (world.folder / "file").write_text("")
    with pytest.raises(CacheError, match="set EBPF_CACHE to another folder"):
        world.header(cache=world.folder / "file")


CHILD = """\
import sys
sys.path.insert(0, {core!r})
from pathlib import Path
from ebpfbuild.pins import toolchain
from ebpfbuild.fetch.obtain import obtain_header
from ebpfbuild.fetch.options import FetchOptions
from ebpfbuild.console import console_for
pin = toolchain.load({pins!r}).header("x86_64")
got = obtain_header(pin, FetchOptions(Path({cache!r})), console_for(sys.stderr, {{}}))
print(got.via)
"""


def test_two_builds_at_once_fetch_once(world):
    import threading

    both, go = threading.Event(), threading.Event()

    def slowly(request):
        both.set()
        go.wait(10)
        body(HEADER)(request)

    world.server.say(slowly, path="/vmlinux.h")
    pins = str(world.folder / "toolchain.toml")
    code = CHILD.format(core=str(ROOT / "site_scons"), pins=pins, cache=str(world.cache))
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    start = lambda: subprocess.Popen([sys.executable, "-c", code], text=True, env=environ,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with start() as first:
        assert both.wait(20)
        with start() as second:
            assert "waiting for another build that is fetching vmlinux.h for x86_64" in second.stderr.readline()
            go.set()
            said = [child.communicate(timeout=20)[0].strip() for child in (first, second)]
    assert said == [world.server.host, "the cache"] and world.server.seen == ["/vmlinux.h"]
    assert [path.name for path in world.cache.glob("sha256/*")] == [digest(HEADER)]


# The real pins, where their sources can be reached.

MIRROR = Path(os.environ.get("SCONS_BPF_MIRROR", ROOT.parent / "shared/mirror") or "no mirror")


@pytest.mark.skipif(not MIRROR.is_dir(), reason="no mirror folder (SCONS_BPF_MIRROR or ../shared/mirror)")
def test_the_real_headers_of_all_arches_from_the_mirror(tmp_path):
    options = FetchOptions(tmp_path, str(MIRROR), offline=True, release=True)
    for arch, pin in toolchain.load(ROOT / "toolchain.toml").vmlinux.items():
        got = obtain_header(pin, options, Reporter())
        assert got.sha256 == pin.sha256 == digest(got.path.read_bytes()), arch


def without_origin(pin):
    """The pin as if its first source were down."""
    gone = pin.source._replace(location="http://127.0.0.1:9/gone")
    return pin._replace(source=gone)


@pytest.mark.parametrize("arch", ["x86_64", "aarch64", "riscv64"])
def test_the_real_alternates_through_this_machines_apt(tmp_path, arch, online):
    pin = without_origin(toolchain.load(ROOT / "toolchain.toml").header(arch))
    try:
        got = obtain_header(pin, FetchOptions(tmp_path), Reporter())
    except FetchError as error:
        pytest.skip(f"no archive of this machine's apt serves it: {error.details[-1]}")
    assert got.alternate and got.sha256 == digest(got.path.read_bytes())
    assert b"struct user_pt_regs" in got.path.read_bytes() or b"struct pt_regs" in got.path.read_bytes()


def test_the_real_libbpf_headers_through_this_machines_apt(tmp_path, online):
    pin = toolchain.load(ROOT / "toolchain.toml").libbpf
    try:
        got = obtain_tree(pin._replace(sources=pin.sources[1:]), FetchOptions(tmp_path), Reporter())
    except FetchError as error:
        pytest.skip(f"no archive of this machine's apt serves it: {error.details[-1]}")
    assert b"bpf_core_field_exists" in got.files["bpf_core_read.h"].read_bytes()
