"""The wheel: the same bytes each time, what pip takes, and nothing that would land outside of it."""

import base64
import csv
import hashlib
import io
import platform
import subprocess
import sys
import zipfile

import pytest
from ebpfbuild.arch import BY_NAME, host_arch
from ebpfbuild.errors import PackageError
from ebpfbuild.package.names import tar_name, wheel_name
from ebpfbuild.package.wheel import About, build_wheel
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = host_arch(platform.machine())
X86, ARM64, ARM = (BY_NAME[name] for name in ("x86_64", "aarch64", "arm"))
FILES = {
    "tracker/__init__.py": b"ANSWER = 42\n",
    "tracker/x86_64/tracker.bpf.o": b"\x7fELF" + bytes(range(256)),
    "tracker/data, with comma.txt": b"",
    "tracker/naïve.txt": "naïve\n".encode(),
}
ABOUT = About(
    "tracker", "1.0", "Shows sockets", "BSD-2-Clause", "# Tracker\n", license_files={"LICENSE": b"Be kind.\n"}
)


def opened(data):
    return zipfile.ZipFile(io.BytesIO(data))


def test_several_arches_are_for_any_machine_and_one_for_its_own():
    assert wheel_name("socket_tracker", "0.1.0", [X86, ARM64]) == "socket_tracker-0.1.0-py3-none-any.whl"
    assert wheel_name("Socket-Tracker.x", "1!2.0rc1+local.1", [ARM]) == (
        "socket_tracker_x-1!2.0rc1+local.1-py3-none-linux_armv7l.whl"
    )
    assert tar_name("socket_tracker", "0.1.0", [X86, ARM64]) == "socket_tracker-0.1.0-any.tar"
    assert tar_name("Socket-Tracker.x", "1", [ARM]) == "socket_tracker_x-1-arm.tar"


def test_the_same_input_gives_the_same_bytes_in_any_order():
    first = build_wheel(ABOUT, FILES, [X86, ARM64])
    turned = dict(reversed(FILES.items()))
    assert build_wheel(ABOUT, turned, [ARM64, X86]) == first


def test_the_bytes_are_those_of_the_day_it_was_written():
    """Another Python or zlib must not change them; a change here needs a line in CHANGELOG."""
    data = build_wheel(ABOUT, FILES, [X86, ARM64])
    assert hashlib.sha256(data).hexdigest() == "f78879fa09cef2b9c85702bf99716180f609f89383a78ab6747ff471cd9c00e4"


def test_entries_are_stored_sorted_and_of_one_date_and_mode():
    entries = opened(build_wheel(ABOUT, FILES, [X86])).infolist()
    names = [entry.filename for entry in entries]
    assert names[:4] == sorted(FILES)
    assert names[4:] == [
        f"tracker-1.0.dist-info/{name}" for name in ("METADATA", "WHEEL", "licenses/LICENSE", "RECORD")
    ]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.create_system for entry in entries} == {3}


def test_record_lists_every_file_with_its_digest():
    archive = opened(build_wheel(ABOUT, FILES, [X86]))
    rows = list(csv.reader(io.StringIO(archive.read("tracker-1.0.dist-info/RECORD").decode())))
    assert [row[0] for row in rows] == archive.namelist()
    assert rows[-1][1:] == ["", ""]
    for path, digest, size in rows[:-1]:
        data = archive.read(path)
        expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        assert (digest, int(size)) == (f"sha256={expected}", len(data))


def test_metadata_and_tags():
    archive = opened(build_wheel(ABOUT, FILES, [X86, ARM64]))
    metadata = archive.read("tracker-1.0.dist-info/METADATA").decode()
    assert metadata.splitlines() == [
        "Metadata-Version: 2.4",
        "Name: tracker",
        "Version: 1.0",
        "Summary: Shows sockets",
        "License-Expression: BSD-2-Clause",
        "License-File: LICENSE",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Programming Language :: Python :: 3",
        "Classifier: Typing :: Typed",
        "Requires-Python: >=3.9",
        "Description-Content-Type: text/markdown; charset=UTF-8",
        "",
        "# Tracker",
    ]
    assert archive.read("tracker-1.0.dist-info/licenses/LICENSE") == b"Be kind.\n"
    wheel = archive.read("tracker-1.0.dist-info/WHEEL").decode()
    assert wheel.endswith("Root-Is-Purelib: true\nTag: py3-none-any\n")
    one = opened(build_wheel(ABOUT, FILES, [ARM64])).read("tracker-1.0.dist-info/WHEEL").decode()
    assert one.endswith("Root-Is-Purelib: false\nTag: py3-none-linux_aarch64\n")


@pytest.mark.parametrize("license", ["BSD 2-Clause", "MIT\nX: y", "MIT OR", "MIT and GPL-2.0-only"])
def test_a_licence_that_spdx_does_not_know_is_refused(license):
    with pytest.raises(PackageError, match="license: .* is no SPDX licence expression"):
        build_wheel(About("x", "1", license=license), {}, [X86])


def test_twine_takes_it_without_a_warning(tmp_path):
    path = tmp_path / wheel_name("tracker", "1.0", [X86, ARM64])
    path.write_bytes(build_wheel(ABOUT, FILES, [X86, ARM64]))
    command = [sys.executable, "-m", "twine", "check", "--strict", path]
    done = subprocess.run(command, capture_output=True, text=True)
    if "No module named twine" in done.stderr:
        pytest.skip("twine is not installed")
    assert done.returncode == 0 and "WARNING" not in done.stdout.upper(), done.stdout


BAD_PATHS = (
    "/etc/passwd", "../x.py", "a/../../x.py", "a//b.py", "a/./b.py", "a/", "", "a\\b.py", "C:x.py", "a\nb.py", "a\0b",
    "\udc80.py", "x-1.dist-info/METADATA", "x-1.data/scripts/run",
)  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_leaves_the_wheel_is_refused(path):
    with pytest.raises(PackageError, match="no relative path|folder that the wheel format keeps"):
        build_wheel(About("x", "1"), {"x/__init__.py": b"", path: b""}, [X86])


@pytest.mark.parametrize("pair", [("a/b.py", "a/B.py"), ("A/b.py", "a/c.py"), ("a", "a/b.py"), ("a/ß.py", "a/SS.py")])
def test_paths_that_are_one_place_are_refused(pair):
    with pytest.raises(PackageError, match="are one place"):
        build_wheel(About("x", "1"), dict.fromkeys(pair, b""), [X86])


@pytest.mark.parametrize("name", ["", "-x", "x_", "a b", "naïve", "a/b", "x\n"])
def test_a_name_that_no_installer_takes_is_refused(name):
    with pytest.raises(PackageError, match="no name of a distribution"):
        wheel_name(name, "1", [X86])


@pytest.mark.parametrize("version", ["", "v1", "1-2", "1.0-rc1", "01", "1..2", "1 ", "1\n", "1/2"])
def test_a_version_that_no_installer_takes_is_refused(version):
    with pytest.raises(PackageError, match="no version"):
        wheel_name("x", version, [X86])


def test_a_wheel_needs_an_arch_and_a_summary_of_one_line():
    with pytest.raises(PackageError, match="at least one arch"):
        wheel_name("x", "1", [])
    with pytest.raises(PackageError, match="more than one line"):
        build_wheel(About("x", "1", "two\nlines"), {}, [X86])


def test_python_imports_from_it_and_tests_it(tmp_path):
    path = tmp_path / wheel_name("tracker", "1.0", [X86])
    path.write_bytes(build_wheel(ABOUT, FILES, [X86]))
    code = f"""import sys; sys.path.insert(0, {str(path)!r})
import tracker, importlib.resources
print(tracker.ANSWER, len((importlib.resources.files(tracker) / "x86_64" / "tracker.bpf.o").read_bytes()))"""
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert run.stdout == "42 260\n", run.stderr
    assert subprocess.run([sys.executable, "-m", "zipfile", "-t", path], capture_output=True).returncode == 0


def test_pip_installs_it_where_one_of_its_tags_fits(tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    every, other = tmp_path / wheel_name("tracker", "1.0", [HERE]), tmp_path / "x-1-py3-none-linux_mips.whl"
    every.write_bytes(build_wheel(ABOUT, FILES, [HERE]))
    other.write_bytes(every.read_bytes())
    ours = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "--disable-pip-version-check"]
    pip = [*ours, "install", "--no-index"]
    done = subprocess.run([*pip, every], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = subprocess.run([venv / "bin" / "python", "-c", "import tracker; print(tracker.ANSWER)"], capture_output=True)
    assert run.stdout == b"42\n"
    check = subprocess.run([*ours, "show", "--files", "tracker"], capture_output=True, text=True)
    assert "tracker/x86_64/tracker.bpf.o" in check.stdout
    assert subprocess.run([*pip, other], capture_output=True).returncode != 0


@given(st.dictionaries(st.text(max_size=12), st.binary(max_size=20), max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_files_give_an_error_or_a_whole_wheel(files):
    try:
        archive = opened(build_wheel(About("x", "1"), files, [X86]))
    except PackageError:
        return
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist() if name in files} == files
