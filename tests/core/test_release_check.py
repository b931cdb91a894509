"""What a release refuses: Python packages that the lock doesn't pin, submodules that moved."""

import subprocess

import pytest
from ebpfbuild.errors import ReleaseError
from ebpfbuild.release_check import epoch_refusals, package_refusals, refuse, tree_refusals


def installed(folder, name, version):
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_a_package_of_another_version_is_named(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("jinja2==3.1.6 \\\n    --hash=sha256:abababababababababababababababababababababababababababababababab\nbackports-zstd==1.8.0 ; python_version < '3.14' \\\n    --hash=sha256:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\n")
    site = tmp_path / "site"
    installed(site, "Jinja2", "3.1.5")
    installed(site, "backports.zstd", "1.8.0")
    installed(site, "unrelated", "1")
    (line,) = package_refusals(lock, site)
    assert line.startswith("the installed jinja2 3.1.5 is not the 3.1.6 of requirements.lock; run ./sconsw")
    lock.unlink()
    assert "can't be read" in package_refusals(lock, site)[0]


def test_a_submodule_that_moved_is_told_apart_because_git_stash_leaves_it(tmp_path):
    def git(folder, *words):
        config = ["-c", "protocol.file.allow=always", "-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", folder, *config, *words], check=True, capture_output=True)

    for name in ("below", "top"):
        (tmp_path / name).mkdir()
        git(tmp_path / name, "init")
        (tmp_path / name / "file").write_text("1")
        git(tmp_path / name, "add", "file")
        git(tmp_path / name, "commit", "-m1")
    top = tmp_path / "top"
    git(top, "submodule", "add", tmp_path / "below", "third_party/below")
    git(top, "commit", "-am2")
    assert tree_refusals(str(top), ["file"]) == []
    moved = "third_party/below differs from the last commit; commit it, or git submodule update, and git stash in there"
    git(top / "third_party/below", "commit", "--allow-empty", "-m2")
    assert tree_refusals(str(top), ["file"]) == [moved]
    git(top, "submodule", "update")
    (top / "third_party/below/file").write_text("2")
    (top / "file").write_text("2")
    assert tree_refusals(str(top), ["file"]) == ["file differs from the last commit; commit it, or git stash", moved]


@pytest.mark.parametrize("text, fine", [("0", True), ("1700000000", True), ("", False), ("-1", False), ("1e9", False), ("٣", False)])
def test_an_epoch_is_a_number(text, fine):
    assert (epoch_refusals(text) == []) == fine


def test_each_line_stands_once_and_none_is_no_error():
    refuse([])
    with pytest.raises(ReleaseError) as error:
        refuse(["a; do b", "a; do b", "c; do d"])
    assert str(error.value) == "RELEASE=1: refuses 2 things, and nothing was built\n  a; do b\n  c; do d"
