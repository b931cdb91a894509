"""Finding the pinned clang: its version, and a fingerprint of all its code."""

import stat

import pytest
from ebpfbuild.compile.clang import locate
from ebpfbuild.errors import CompilerError
from ebpfbuild.rebuild.ledger import Ledger


@pytest.fixture
def fake(tmp_path):
    """A function that writes a clang of the given version; it counts how often it is started."""

    def make(version="19.1.7", more=""):
        path = tmp_path / "clang-19"
        path.write_text(f'#!/bin/sh\necho x >> "{tmp_path}/starts"\necho "Debian clang version {version} (3)"\n{more}')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def find(path, ledger, version="19.1.7"):
    return locate(None, path, version, "toolchain.toml:3: compiler.version", Ledger(ledger))


def test_it_is_started_once_and_remembered(fake, tmp_path):
    path = fake()
    first = find(path, tmp_path / "ledger")
    assert find(path, tmp_path / "ledger") == first
    assert (tmp_path / "starts").read_text() == "x\n"
    assert first.argv[0] == path and first.version == "19.1.7"


def test_other_code_is_another_fingerprint_also_for_the_same_version(fake, tmp_path):
    first = find(fake(), tmp_path / "ledger")
    second = find(fake(more="# upgraded\n"), tmp_path / "ledger")
    assert first.fingerprint != second.fingerprint


def test_another_version_is_refused_with_the_line_to_paste(fake, tmp_path):
    with pytest.raises(CompilerError) as error:
        find(fake("14.0.6"), tmp_path / "ledger")
    assert str(error.value).startswith("toolchain.toml:3: compiler.version (")
    assert 'this is clang 14.0.6, the pin says 19.1.7; install clang 19.1.7, or accept this one: version = "14.0.6"' in str(error.value)


def test_old_ones_are_not_given_a_flag_that_they_do_not_know(fake, tmp_path):
    assert find(fake("14.0.6"), tmp_path / "one", "14.0.6").argv[1:] == ()
    assert find(fake(), tmp_path / "two").argv[1:] == ("--no-default-config",)


@pytest.mark.parametrize("text, what", [("#!/bin/sh\nexit 3\n", "does not run"), ("#!/bin/sh\necho gcc 12\n", "is no clang")])
def test_what_is_no_clang(tmp_path, text, what):
    path = tmp_path / "cc"
    path.write_text(text)
    path.chmod(0o755)
    with pytest.raises(CompilerError, match=what):
        find(str(path), tmp_path / "ledger")


def test_what_is_not_there(tmp_path):
    with pytest.raises(CompilerError, match=r"no compiler at /nowhere/clang; install it, or take the packaged one"):
        find("/nowhere/clang", tmp_path / "ledger")
    with pytest.raises(CompilerError, match="the Python package no_such_wheel is not installed; run ./sconsw"):
        locate("no_such_wheel", None, "1.2.3", "toolchain.toml:3", Ledger(tmp_path / "ledger"))


def test_thelibraries_of_a_dynamic_binary_count(tmp_path):
    """The interpreter is a dynamic binary that is surely here; its C library is part of what it runs."""
    from ebpfbuild.host_tools import libraries

    libraries = libraries("/bin/sh")
    if not libraries:
        pytest.skip("there is no ldd, or /bin/sh is static")
    assert any("libc" in library for library in libraries)
    assert all(library.startswith("/") for library in libraries)
