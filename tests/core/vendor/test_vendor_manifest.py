"""vendor.json and the locks, as set-up reads them: from a folder that anybody may have edited."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from ebpfbuild.errors import VendorError
from ebpfbuild.vendor.lock import lacking_wheels, read_lock
from ebpfbuild.vendor.manifest import Manifest, is_vendor_folder, read_manifest

ROOT = Path(__file__).resolve().parents[3]
DIGEST = "ab" * 32
WHOLE = Manifest(("x86_64",), ("3.11", "3.13"), ("aarch64",), {f"sha256/{DIGEST}": DIGEST, "wheels/a-1-py3-none-any.whl": DIGEST})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(DIGEST),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def test_a_manifest_says_what_was_written(tmp_path):
    (tmp_path / "vendor.json").write_bytes(WHOLE.as_json())
    assert is_vendor_folder(tmp_path) and read_manifest(tmp_path) == WHOLE


@pytest.mark.parametrize("change", [
    {"format": 2}, {"hosts": "x86_64"}, {"pythons": [3.11]}, {"files": []}, {"files": {"sha256/../../etc/passwd": DIGEST}},
    {"files": {"/etc/passwd": DIGEST}}, {"files": {f"sha256/{DIGEST}": "short"}}, {"files": {"wheels/a/b.whl": DIGEST}},
])
def test_another_manifest_is_refused_with_the_way_out(tmp_path, change):
    facts = json.loads(WHOLE.as_json()) | change
    (tmp_path / "vendor.json").write_text(json.dumps(facts))
    with pytest.raises(VendorError, match=r"is no manifest that this version reads; make the folder anew"):
        read_manifest(tmp_path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.binary(max_size=80), st.dictionaries(st.sampled_from(["format", "hosts", "pythons", "arches", "files"]), JSON)))
def test_any_manifest_is_read_or_refused(tmp_path, content):
    (tmp_path / "vendor.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    try:
        read_manifest(tmp_path)
    except VendorError:
        pass


def test_our_own_locks_are_read_whole():
    for name in ("requirements.lock", "requirements-test.lock", "pip.lock"):
        text = (ROOT / name).read_text()
        found = read_lock(ROOT / name)
        assert len(found) == text.count("==") and sum(len(each.hashes) for each in found) == text.count("--hash")
    (zstd,) = [each for each in read_lock(ROOT / "requirements.lock") if each.pinned.startswith("backports-zstd")]
    assert zstd.applies("3.11") and zstd.applies("3.13") and not zstd.applies("3.14")
    assert zstd.line.startswith("backports-zstd==1.8.0 --hash=sha256:") and ";" not in zstd.line


@pytest.mark.parametrize("line", ["idna", "idna==3", "-r other.txt", "--index-url http://x", f"../x==1 --hash=sha256:{DIGEST}"])
def test_a_line_that_pins_nothing_is_refused(tmp_path, line):
    lock = tmp_path / "some.lock"
    lock.write_text(f"{line}\n")
    with pytest.raises(VendorError, match="pins nothing with"):
        read_lock(lock)


def test_a_marker_that_is_not_understood_is_refused_and_not_guessed_at(tmp_path):
    lock = tmp_path / "some.lock"
    lock.write_text(f'idna==3 ; sys_platform == "win32" --hash=sha256:{DIGEST}\n')
    with pytest.raises(VendorError, match="a marker that is not understood"):
        lacking_wheels([lock], "3.11", [])


def test_what_a_folder_lacks_is_named(tmp_path):
    lock = tmp_path / "some.lock"
    lock.write_text(f'one==1 \\\n    --hash=sha256:{DIGEST}\ntwo==2 ; python_version < "3.14" --hash=sha256:{"cd" * 32}\n')
    assert lacking_wheels([lock], "3.11", [DIGEST]) == ["the wheel of two==2"]
    assert lacking_wheels([lock], "3.14", [DIGEST]) == []
