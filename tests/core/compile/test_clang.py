"""Finding the pinned clang: its version, and a fingerprint of all its code."""

import base64
import hashlib
import importlib
import stat

import pytest
from ebpfbuild.compile import clang_release
from ebpfbuild.compile.clang import locate
from ebpfbuild.errors import CompilerError
from ebpfbuild.pins.toolchain import load
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


@pytest.mark.parametrize("text, what", [("#!/bin/sh\nexit 3\n", r"does not run \(it ended with 3\); reinstall it"), ("#!/bin/sh\necho no lib.so >&2; exit 3\n", r"\(it ended with 3, and said: no lib.so\)"), ("#!/bin/sh\necho gcc 12\n", "is no clang")])
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


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A function: the Compiler of a made-up wheel of `fakeclang` on a machine of its own, whose binary says `machine`."""
    lock = tmp_path / "requirements.lock"
    monkeypatch.setattr(clang_release, "LOCK", lock)

    def make(machine, version="0.17.1", locked="0.17.1", edited=False):
        lock.write_text(f"jinja2==3.1.6 \\\n    --hash=sha256:{'1' * 64}\nfakeclang=={locked} \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n")
        site = tmp_path / machine
        folder, info = site / "fakeclang", site / f"fakeclang-{version}.dist-info"
        folder.mkdir(parents=True)
        info.mkdir()
        (folder / "__init__.py").touch()
        binary = folder / "zig"
        binary.write_text(f'#!/bin/sh\n# for {machine}\necho "clang version 22.1.8"\n')
        binary.chmod(0o755)
        digest = base64.urlsafe_b64encode(hashlib.sha256(binary.read_bytes()).digest()).rstrip(b"=").decode()
        (info / "RECORD").write_text(f"fakeclang/__init__.py,sha256=x,0\nfakeclang/zig,sha256={digest},99\n")
        if edited:
            binary.write_text(binary.read_text() + "# edited\n")
        monkeypatch.syspath_prepend(site)
        importlib.invalidate_caches()
        return locate("fakeclang", None, "22.1.8", "toolchain.toml:3: compiler", Ledger(tmp_path / f"{machine}.ledger"))

    return make


def test_packages_call_a_locked_wheel_the_same_on_every_machine(wheel):
    here, there = wheel("x86_64"), wheel("aarch64")
    assert here.fingerprint != there.fingerprint, "another binary is another compiler to a build"
    assert here.packed == there.packed != here.fingerprint


@pytest.mark.parametrize("odd", [{"locked": "0.16.0"}, {"version": "0.17.2"}, {"edited": True}])
def test_packages_call_what_no_lock_pins_by_its_own_bytes(wheel, odd):
    found = wheel("x86_64", **odd)
    assert found.packed == found.fingerprint


def test_the_checkout_s_lock_pins_the_compiler(tmp_path):
    spec = load(clang_release.LOCK.parent / "toolchain.toml").compiler
    try:
        found = locate(spec.package, spec.path, spec.version, spec.where, Ledger(tmp_path / "ledger"))
    except CompilerError as error:
        pytest.skip(str(error))
    assert found.packed != found.fingerprint
