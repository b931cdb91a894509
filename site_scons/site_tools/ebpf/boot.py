"""The command `boot`: each kernel that toolchain.toml declares, booted in QEMU, with every program loaded there."""

import hashlib
import json
import os
import platform
import zipfile
from pathlib import Path
from typing import NamedTuple

import SCons.Script

from ebpfbuild.arch import host_arch
from ebpfbuild.errors import ArchiveError, BootError, BtfError, KernelImageError
from ebpfbuild.escape import printable, printable_lines
from ebpfbuild.files import write_file

from .command_targets import boots_tests
from .errors import StopError, user_error
from .fetching import fetch_options
from .kernels import checked_objects, declared_kernel, declared_kernels, kernel_file, named_kernels
from .package import LOADER
from .run import interrupted, run_of
from .verifier import FIGURES, is_dearer

SECONDS = 600  # that a guest may take unless BOOT_SECONDS= says otherwise
OWN_LOADER = ("loader", "bpfloader")  # the folder of a guest and the package in it, for objects that no wheel holds


def boot(env):
    """Prints the table, the failures, and where boot and matrix disagree; `boot test` runs the project's tests.

    Raises StopError for what can't be booted, and for a program that fails though the matrix doesn't say so.
    """
    if boots_tests():
        from .boot_tests import boot_tests

        user_error(boot_tests, env)
    else:
        user_error(_boot, env)


def _boot(env):
    from ebpfbuild.boot import figures, text
    from ebpfbuild.boot.as_json import as_json
    from ebpfbuild.boot.results import disagreements, unexpected

    if SCons.Script.GetOption("record") and SCons.Script.GetOption("compare"):
        raise StopError("boot: --record and --compare exclude each other; compare first, then record what you accept")
    seconds, objects = time_limit(), list(checked_objects(env))
    pins = kernels_to_boot(env, {arch for _, arch, _, _ in objects})
    offline = _offline(env, objects, pins)
    runs = []
    with booter_for(env, pins) as booter:
        for arch in dict.fromkeys(pin.file.arch for _, pin in pins):
            booter.give(*guest_python(env, [each for each in objects if each[1] == arch]))
            for session, pin in pins:
                if pin.file.arch == arch:
                    runs.append(booter.run(guest_kernel(env, session, pin), seconds))
                    tell_booted(env, runs[-1].guest)
    found = disagreements(runs, offline)
    parts = [text.table(runs, offline), text.failures(runs), text.disagreeing(found)]
    print("\n\n".join(printable_lines(part) for part in parts if part), end="\n\n")
    print(printable(text.summary(runs, offline, found)), flush=True)
    root = Path(env["EBPF"].root)
    if wanted := SCons.Script.ARGUMENTS.get("BOOT_JSON"):
        write_file(root / wanted, (json.dumps(as_json(runs, offline, found), indent=1) + "\n").encode())
    _hold_figures(env, figures.measured(runs))
    _require_expected(unexpected(runs, offline), [run.guest for run in runs if run.guest.stopped])


def _hold_figures(env, measured):
    """Has the loader record what the verifiers counted, or hold it against the file, as `verify` does here.

    Raises BootError for a program that got dearer, and where there is no file yet.
    """
    session, option = env["EBPF"], "record" if SCons.Script.GetOption("record") else "compare"
    if not SCons.Script.GetOption(option) or not measured:
        return
    if option == "compare" and not Path(session.root, FIGURES).exists():
        raise BootError("holds no figures", where=FIGURES, fix="record them first: boot --record")
    words = [f"--{option}", FIGURES]
    for number, each in enumerate(measured):
        path = os.path.join(session.build, "boot", f"figures-{number}.json")
        write_file(Path(session.root, path), json.dumps(each).encode())
        words += ["--measured", path]
    if is_dearer(session.root, words):
        fix = "make them cheaper, or accept it: boot --record"
        raise BootError("programs are dearer than it allows", where=FIGURES, fix=fix)


def _require_expected(failed, stopped):
    """Raises BootError for programs that failed unforeseen, and for guests that didn't end by themselves."""
    details = [f"{guest.kernel}: {guest.stopped}; read {guest.log}" for guest in stopped]
    details += [f"{each.program} of {each.object} on {guest.kernel}: {each.state}" for guest, each in failed]
    if details:
        what = "programs fail that the matrix doesn't foresee" if failed else "a guest didn't end by itself"
        fix = "mend them; the table above has the kernels' words" if failed else "read its serial output"
        raise BootError(what, where="boot", fix=fix, details=tuple(details))


def kernels_to_boot(env, arches):
    """Returns the kernels to boot, each with its session: those that KERNELS= names, else all of the arches built.

    Raises BootError where there is none, for a name that is none's, and for one whose arch isn't built.
    """
    from ebpfbuild.boot.guests import require_bootable

    declared, names = declared_kernels(env), named_kernels()
    for name in names:
        if name not in declared:
            fix = f"take of {', '.join(declared) or 'none: toolchain.toml declares no kernel'}"
            raise BootError(f"{name} is no kernel of toolchain.toml", where="KERNELS", fix=fix)
        if (arch := declared[name][1].file.arch) not in arches:
            raise BootError(f"{name} is of {arch}, for which nothing is built", where="KERNELS", fix=f"add ARCH={arch}")
    found = [declared[name] for name in names or declared if declared[name][1].file.arch in arches]
    found = sorted((each for each in found if _has_image(each[1])), key=lambda each: _age(each[1]))
    require_bootable([pin.file.arch for _, pin in found], sorted(arches))
    return found


def _age(pin):
    """Returns what sorts kernels as the matrix does, the oldest first."""
    numbers = [int(part) if part.isdecimal() else 0 for part in pin.file.kernel.split("-")[0].split(".")]
    return numbers, pin.name


def _has_image(pin):
    """Returns True for a pin of a kernel's package or image, False for one of a BTF file in a tar."""
    return not pin.file.source.inside and not pin.file.source.name.endswith((".btf", "vmlinux"))


def _offline(env, objects, pins):
    """Returns the matrix' verdicts by kernel, object and program; none of a kernel without BTF."""
    from ebpfbuild.kernels.matrix import check

    opened = []
    for session, pin in pins:
        try:
            opened.append(declared_kernel(env, session, pin))
        except (ArchiveError, BtfError, KernelImageError) as error:
            print(printable(f"{pin.name}: not in the matrix: it {error.what}"), flush=True)
    matrix = check([(name, arch, spec) for name, arch, spec, _ in objects], opened)
    return {
        (row.kernel, each.name, program): row.verdict
        for each in matrix.objects
        for program, rows in each.results.items()
        for row in rows
    }


def booter_for(env, pins):
    """Returns what boots guests: with the userlands that toolchain.toml pins. Raises BootError for an arch without."""
    from ebpfbuild.boot.guests import Booter

    host, session = host_arch(platform.machine()).name, env["EBPF"]
    guests = session.toolchain.guests
    for arch in [host, *(pin.file.arch for _, pin in pins)]:
        if arch not in guests:
            fix = f"add a table [guests.{arch}] as those of the checkout's toolchain.toml"
            raise BootError(f"no userland is pinned for {arch}", where="boot", fix=fix)
    folder = Path(session.root, session.build, "boot")
    packages = {arch: [_package(env, pin) for pin in guests[arch]] for arch in guests}
    code, report = session.inputs.code("boot/guests.py"), run_of(env.fs).reporter
    return Booter(folder, packages.__getitem__, host, code, report, interrupted)


def _package(env, pin):
    """Returns a pinned package as the core takes it: where it is, what reads it, its digest."""
    from ebpfbuild.fetch.obtain import obtain_header

    def read():
        return Path(obtain_header(pin, fetch_options(env), run_of(env.fs).reporter).path).read_bytes()

    return pin.where, read, pin.sha256


def guest_kernel(env, session, pin):
    """Returns a declared kernel as the core boots it."""
    from ebpfbuild.boot.guests import BootKernel

    path, sha256 = kernel_file(env, session, pin.file)
    packages = [(pin.file.where, Path(path).read_bytes, sha256)]
    packages += [_package(env, pin.modules)] if pin.modules else []
    return BootKernel(pin.name, pin.file.arch, pin.file.kernel, tuple(packages), pin.member, pin.hide_btf)


def guest_python(env, objects):
    """Returns the Python of the guests by folder, and the objects: each with the loader of a wheel that holds it."""
    from ebpfbuild.boot.initramfs import GuestObject

    wheels = [_wheel(node.abspath) for node in run_of(env.fs).wheels]
    python, found = {}, []
    for name, _, spec, data in objects:
        folder, loader = OWN_LOADER
        digest = hashlib.sha256(data).digest()
        holding = [number for number, wheel in enumerate(wheels) if digest in wheel.objects and wheel.loader]
        if holding:
            folder, loader = f"wheel{holding[0]}", wheels[holding[0]].loader
            python[folder] = wheels[holding[0]].files
        elif folder not in python:
            files = env["EBPF"].run.python_files(str(LOADER))
            python[folder] = {f"bpfloader/{place}": Path(path).read_bytes() for place, path in files.items()}
        programs = {program.name: program.section for program in spec.programs}
        found.append(GuestObject(name, data, programs, folder, loader))
    return python, found


class _Wheel(NamedTuple):
    """A wheel: the digests of its objects, its files by path, and the loader's package in it; empty for none."""

    objects: frozenset
    files: dict
    loader: str


def _wheel(path):
    """Reads a wheel."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    objects = frozenset(hashlib.sha256(data).digest() for name, data in files.items() if name.endswith(".bpf.o"))
    inits = [name for name in files if name.endswith("bpfloader/__init__.py")]
    return _Wheel(objects, files, inits[0].removesuffix("/__init__.py").replace("/", ".") if inits else "")


def tell_booted(env, guest):
    """Says on standard error that a kernel has been booted: the table comes when all have."""
    ended = guest.stopped or "done"
    run_of(env.fs).reporter.notice(f"{guest.kernel} ({guest.accelerator}): {ended} after {guest.seconds:.0f} s")


def time_limit(default=SECONDS):
    """Returns the seconds that a guest may take. Raises StopError for what is no number."""
    text = SCons.Script.ARGUMENTS.get("BOOT_SECONDS", str(default))
    if not text.isdecimal() or not 0 < int(text) < 100_000:
        raise StopError(f"BOOT_SECONDS={text}: not a number of seconds; write BOOT_SECONDS={default}")
    return int(text)
