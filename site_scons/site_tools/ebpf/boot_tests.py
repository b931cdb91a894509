"""The command `boot test`: a project's own tests, run on each kernel that toolchain.toml declares, booted in QEMU."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

import SCons.Node
import SCons.Script

from ebpfbuild.errors import BootError
from ebpfbuild.escape import printable, printable_lines
from ebpfbuild.files import read_regular, write_file

from .boot import booter_for, guest_kernel, guest_python, kernels_to_boot, tell_booted, time_limit
from .errors import StopError
from .kernels import checked_objects, stand_in_btf
from .run import run_of

SECONDS = 3600  # that a guest may take: emulated, on a busy machine, hundreds of tests take half an hour
MAX_SIZE = 256 << 20  # bytes of the project's files in a guest, which has them in its memory
PYTEST = "pytest"
NOT_THERE = ("__pycache__", ".git")
UNREAD = ("BOOT_JSON",)  # arguments, and options, of a boot without tests
UNREAD_OPTIONS = ("record", "compare")


class GuestTestsDeclared(NamedTuple):
    """What an EbpfTest says of guests: the words for pytest, files and folders, and Python packages."""

    words: tuple
    files: tuple
    packages: tuple


def boot_tests(env):
    """Runs the tests on each kernel, prints what came of them, and keeps it as build/boot/NAME/tests.xml.

    Raises StopError and BootError where a test fails, or none runs.
    """
    from ebpfbuild.boot import tests as results
    from ebpfbuild.boot.guests import GuestTests

    _require_no_other()
    declared, seconds, objects = _declared(env), time_limit(SECONDS), list(checked_objects(env))
    pins = kernels_to_boot(env, {arch.name for arch in env["EBPF_ARCHES"]})
    root, runs = Path(env["EBPF"].root), []
    given = GuestTests(_files(root, declared.files), _packages(declared.packages), declared.words)
    with booter_for(env, pins) as booter:
        for arch in dict.fromkeys(pin.file.arch for _, pin in pins):
            python, _ = guest_python(env, [each for each in objects if each[1] == arch])
            booter.give_tests(python, given)
            for session, pin in pins:
                if pin.file.arch == arch:
                    kernel = guest_kernel(env, session, pin)._replace(btf=stand_in_btf(env, session, pin))
                    run = booter.run_tests(kernel, seconds)
                    write_file(Path(run.guest.log).with_name("tests.xml"), results.junit(run))
                    tell_booted(env, run.guest)
                    runs.append(run)
    print(printable_lines(results.text(runs)), end="\n\n")
    print(printable(results.summary(runs)), flush=True)
    bad = [run for run in runs if run.failed or run.stopped]
    if bad:
        details = [f"{run.guest.kernel}: {'; '.join(filter(None, (run.counts(), run.stopped)))}" for run in bad]
        fix = "read the failures above, and build/boot/NAME/tests.xml"
        raise BootError("tests fail on a booted kernel", where="boot test", fix=fix, details=tuple(details))


def _require_no_other():
    """Raises StopError for options of a boot without tests, which would do nothing here."""
    given = [f"{name}=" for name in UNREAD if name in SCons.Script.ARGUMENTS]
    given += [f"--{name}" for name in UNREAD_OPTIONS if SCons.Script.GetOption(name)]
    if given:
        raise StopError(f"boot test: {given[0]} is of boot alone; leave it out")


def _declared(env):
    """Returns what EbpfTest declares under the name `test`, else under its only name. Raises StopError."""
    tests = run_of(env.fs).project_tests
    if "test" not in tests and len(tests) == 1:
        return next(iter(tests.values()))
    if "test" not in tests:
        raise StopError('boot test: the project declares no tests; add env.EbpfTest("test", "tests") to the SConstruct')
    return tests["test"]


def _packages(names):
    from ebpfbuild.boot.packages import python_packages

    return python_packages([PYTEST, *names])


def _files(root, places):
    """Returns the regular files at or below paths of the project, by their path in it.

    Raises BootError for what isn't there or lies elsewhere, and for more than a guest's memory holds.
    """
    from ebpfbuild.boot.cpio import File

    found, size = {}, 0
    for place in places:
        if place.split("/")[0] == "..":
            fix = "name files of the project in boot_files"
            raise BootError(f"{place} lies outside of the project", where="boot test", fix=fix)
    for path in sorted({file for place in places for file in _below(root / place)}):
        state = os.stat(path)
        size += state.st_size
        if size > MAX_SIZE:
            what = f"the tests have more than {MAX_SIZE >> 20} MB of files"
            raise BootError(what, where="boot test", fix="name fewer in boot_files")
        mode = 0o755 if state.st_mode & stat.S_IXUSR else 0o644
        found[path.relative_to(root).as_posix()] = File(read_regular(path, MAX_SIZE), mode)
    return found


def _below(place):
    """Yields a file, or the regular files below a folder: no bytecode, nothing of a version control's."""
    if place.is_file():
        yield place
        return
    if not place.is_dir():
        raise BootError(f"{place} is no file and no folder", where="boot test", fix="name others in boot_files")
    for folder, names, files in os.walk(place):
        names[:] = [name for name in names if name not in NOT_THERE]
        yield from (path for path in (Path(folder, name) for name in files) if path.is_file())
