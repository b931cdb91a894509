"""Locks of Python packages: read whole, or refused with the line; what is installed and what a folder lacks."""

from pathlib import Path

import pytest
from ebpfbuild.errors import PythonLockError
from ebpfbuild.python_lock import Lock, LockedPackage, installed_otherwise, lacking_wheels, read_lock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
ONE, TWO = "ab" * 32, "cd" * 32


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock", "pip.lock"])
def test_our_own_locks_are_read_whole(name):
    text, found = (ROOT / name).read_text(), read_lock(ROOT / name).packages
    assert len(found) == text.count("==") and sum(len(each.hashes) for each in found) == text.count("--hash=sha256:")


def test_names_markers_and_versions_are_read():
    zstd = read_lock(LOCK).package("Backports.zstd")
    assert zstd.purl.startswith("pkg:pypi/backports-zstd@")
    assert zstd.applies("3.11") and zstd.applies("3.13") and not zstd.applies("3.14")
    assert zstd.requirement.startswith(f"backports-zstd=={zstd.version} --hash=sha256:") and ";" not in zstd.requirement


@pytest.mark.parametrize("text, line", [
    ("scons\n", 1), ("scons==4 \\\n    --hash=md5:00\n", 2), (f"    --hash=sha256:{ONE}\n", 1), ("-r other.txt\n", 1),
    ("# fine\n\nscons==4 --hash=sha256:zz\n", 3), ("--index-url http://x\n", 1), (f"../x==1 --hash=sha256:{ONE}\n", 1),
])  # fmt: skip
def test_a_lock_that_is_none_is_told_with_its_line(tmp_path, text, line):
    (tmp_path / "some.lock").write_text(text)
    with pytest.raises(PythonLockError, match=rf"some.lock:{line}: is no line of a lock with hashes; make it as docs"):
        read_lock(tmp_path / "some.lock")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(["a==1", " ;", 'python_version < "3.14"', " \\\n", "\n", f" --hash=sha256:{ONE}", "#", "é", "\0"])))
def test_any_lock_is_read_or_refused(tmp_path, parts):
    (tmp_path / "some.lock").write_text("".join(parts))
    try:
        read_lock(tmp_path / "some.lock")
    except PythonLockError:
        pass


def test_a_marker_that_is_not_understood_is_refused_and_not_guessed_at():
    with pytest.raises(PythonLockError, match="idna has a marker that is not understood"):
        LockedPackage("idna", "3", (ONE,), 'sys_platform == "win32"').applies("3.11")


def test_what_is_installed_in_another_version_is_told(tmp_path):
    for name, version in (("scons", "4.11.1"), ("Jinja2", "9"), ("unrelated", "1")):
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    packages = tuple(LockedPackage(name, "4.11.1", (ONE,)) for name in ("scons", "jinja2", "backports-zstd"))
    assert installed_otherwise(Lock("", packages), [str(tmp_path)]) == {"jinja2": "9"}


def test_what_a_folder_lacks_is_named(tmp_path):
    lock = tmp_path / "some.lock"
    lock.write_text(f'one==1 \\\n    --hash=sha256:{ONE}\ntwo==2 ; python_version < "3.14" --hash=sha256:{TWO}\n')
    assert lacking_wheels([read_lock(lock)], "3.11", [ONE]) == ["the wheel of two 2"]
    assert lacking_wheels([read_lock(lock)], "3.14", [ONE]) == []
