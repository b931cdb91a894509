"""What a release refuses in the Python packages: versions that the lock doesn't pin."""

import pytest
from ebpfbuild.errors import ReleaseError
from ebpfbuild.release_check import epoch_refusals, package_refusals, refuse


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


@pytest.mark.parametrize("text, fine", [("0", True), ("1700000000", True), ("", False), ("-1", False), ("1e9", False), ("٣", False)])
def test_an_epoch_is_a_number(text, fine):
    assert (epoch_refusals(text) == []) == fine


def test_each_line_stands_once_and_none_is_no_error():
    refuse([])
    with pytest.raises(ReleaseError) as error:
        refuse(["a; do b", "a; do b", "c; do d"])
    assert str(error.value) == "RELEASE=1: refuses 2 things, and nothing was built\n  a; do b\n  c; do d"
