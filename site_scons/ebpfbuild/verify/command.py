"""The command `sconsw verify-release FILE.whl`: checks a release by its wheel, its papers and the pins, offline.

Only `--rebuild` builds, as `sconsw reproduce --against` does.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import EbpfError, PaperError
from ..escape import printable
from ..header import MODES
from ..pins.pins import Toolchain
from ..pins.toolchain import load
from ..python_lock import LOCK_NAME as LOCK
from ..python_lock import Lock, read_lock
from ..release.papers import BESIDE, STATEMENT_ENDING
from ..release.sign import check_signature
from . import package_checks
from .beside_checks import check_beside, papers_there, signatures_there
from .package_checks import PackageFile
from .pin_checks import check_pins
from .wheel_file import read_wheel

CHECKOUT = Path(__file__).resolve().parents[3]
OWN_TOOLCHAIN = CHECKOUT / "toolchain.toml"


class Check(NamedTuple):
    """A check: what it is about, and what finds the faults."""

    title: str
    faults: Callable[[], Iterable[PaperError]]


def main(arguments: Sequence[str], say: Callable[[str], None] = print) -> int:
    """Returns the exit status: 0 if all checks pass, 1 if one fails, 2 for an argument that can't be used."""
    parser = _parser()
    options = parser.parse_intermixed_args(arguments)
    if options.file is None:
        parser.error("no wheel is named; name it: sconsw verify-release FILE.whl")
    try:
        path = Path(options.file)
        package = PackageFile(read_wheel(path))
        checks = list(_checks(package, path, options))
    except EbpfError as error:
        say(f"FAILED   {error}")
        return 1
    failed = sum([_told(check, say) for check in checks])
    skipped = list(_skipped(package, path, options))
    for reason in skipped:
        say(printable(f"SKIPPED  {reason}"))
    if not failed and options.rebuild:
        failed += _rebuilt(package, path, options, say)
    passed = f"all checks made passed, {len(skipped)} skipped" if skipped else "all checks passed"
    end = f"{failed} of its checks failed" if failed else passed
    say(printable(f"{'FAILED' if failed else 'VERIFIED'} {package.wheel.name} sha256 {package.wheel.sha256}: {end}"))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    usage = "%(prog)s [OPTIONS] FILE.whl [NAME=VALUE ...]"
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("sconsw verify-release", usage=usage, description=about)
    # Optional for argparse, which else calls NAME=VALUE missing, too.
    about = "a wheel that this build made; its papers lie beside it"
    parser.add_argument("file", metavar="FILE.whl", nargs="?", help=about)
    parser.add_argument("--toolchain", metavar="FILE", help="the pins; the project's toolchain.toml unless given")
    parser.add_argument("--lock", metavar="FILE", help=f"the packages; {LOCK} beside sconsw unless given")
    about = "a command that checks a signature: it gets the path of the statement, in the place of {} or at its end"
    parser.add_argument("--signature-check", metavar="COMMAND", help=about)
    about = "refuse a wheel whose objects no build has proven; RELEASE=1 and PROVE=1 do"
    parser.add_argument("--proven", action="store_true", help=about)
    parser.add_argument("--rebuild", action="store_true", help="build it again from this project, and compare")
    parser.add_argument("--offline", action="store_true", help="connect to nothing, with --rebuild as well")
    about = "with --rebuild: MIRROR=, and what the build was given"
    parser.add_argument("arguments", metavar="NAME=VALUE", nargs="*", help=about)
    return parser


def _told(check: Check, say: Callable[[str], None]) -> int:
    """Prints what a check found, and returns 1 if that is a fault."""
    faults: list[EbpfError] = []
    try:
        faults += list(check.faults())
    except EbpfError as error:
        faults.append(error)
    for fault in faults:
        say(f"FAILED   {fault}")
    if not faults:
        say(printable(f"ok       {check.title}"))
    return min(len(faults), 1)


def _checks(package: PackageFile, path: Path, options: argparse.Namespace) -> Iterator[Check]:
    """Yields the checks. Raises EbpfError for pins, a lock or a command that can't be read."""
    wheel, checks = package.wheel, package_checks
    yield Check(f"RECORD lists the {len(wheel.files)} files", lambda: checks.check_record(package))
    yield Check("name, version and arches are the same everywhere", lambda: checks.check_names(package))
    objects = "the object is" if len(package.objects) == 1 else f"the {len(package.objects)} objects are"
    yield Check(f"{objects} the manifest's", lambda: checks.check_manifest(package))
    yield Check(f"{package.sums_path} covers all files", lambda: checks.check_sums(package))
    yield Check(f"{package.statement_path} is about them", lambda: checks.check_statement(package))
    yield Check(f"{package.sbom_path} lists them", lambda: checks.check_sbom(package))
    yield Check("nothing else is in the archive", lambda: checks.check_packing(package))
    if package.proven or options.proven:
        title = f"{package.proven} of the {len(package.objects)} objects have a proof"
        yield Check(title, lambda: checks.check_proven(package))
    toolchain, lock = _pins(options.toolchain), _lock(Path(options.lock or CHECKOUT / LOCK))
    count = len(package.statement.dependencies)
    yield Check(
        f"{count} inputs are those of {toolchain.path} and the lock", lambda: check_pins(package, toolchain, lock)
    )
    if papers_there(path) or options.signature_check:
        yield Check("the papers beside it are of this wheel", lambda: check_beside(package, path))
    if options.signature_check:
        statement = os.path.abspath(f"{path}{STATEMENT_ENDING}")
        yield Check("its statement is signed", lambda: _signature(options.signature_check, statement))


def _signature(command: str, statement: str) -> Iterator[PaperError]:
    """Yields nothing: what is wrong with a signature ends its check. Raises PaperError."""
    check_signature(command, statement)
    yield from ()


def _skipped(package: PackageFile, path: Path, options: argparse.Namespace) -> Iterator[str]:
    if not (package.proven or options.proven):
        yield "the proof of its objects: it has none, as a build without RELEASE=1 and PROVE=1 packs it"
    if not papers_there(path):
        yield f"{path.name}{BESIDE[0]} and the other papers beside it: they aren't there"
    if not options.signature_check:
        near = signatures_there(path)
        may_be = f", which {' or '.join(near)} may be" if near else ""
        yield f'the signature{may_be}: give the command that checks it, --signature-check "…"'
    if not options.rebuild:
        yield "building it again: --rebuild does, in its project"


def _pins(given: str | None) -> Toolchain:
    """Returns the pins as a build in this folder would find them, the tool's own completing the project's.

    Raises PinError.
    """
    root = _project()
    path = Path(given) if given else next((each for each in [root / "toolchain.toml"] if each.exists()), OWN_TOOLCHAIN)
    own = load(OWN_TOOLCHAIN)
    found = own if path.resolve() == OWN_TOOLCHAIN else load(path, OWN_TOOLCHAIN)
    rest = {name: getattr(found, name) or getattr(own, name) for name in ("linker", "uapi", "bundle")}
    return found._replace(**rest)


def _lock(path: Path) -> Lock:
    """Reads the lock. Raises PythonLockError and PaperError."""
    try:
        return read_lock(path)
    except OSError as error:
        raise PaperError(
            f"can't be read: {error.strerror}", where=str(path), fix="name the lock: --lock=FILE"
        ) from None


def _project() -> Path:
    """Returns the folder of the project that this is called in, as sconsw finds it; else this folder."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "SConstruct").is_file()), here)


def _rebuilt(package: PackageFile, path: Path, options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Builds the wheel again in its project, by its statement's parameters. Returns 1 unless it is the same."""
    told = package.statement.external
    words = [f"ARCH={','.join(package.arches)}"]
    words += [f"MINIMIZE={told['MINIMIZE']}"] if told.get("MINIMIZE") in MODES else []
    words += ["PROVE=1"] if told.get("PROVE") is True else []
    # What the project's own arguments do nobody knows, so a statement alone gives none.
    words += [*options.arguments, *(["--offline"] if options.offline else [])]
    command = [str(CHECKOUT / "sconsw"), "reproduce", f"--against={path.resolve()}", *words]
    say(printable(f"BUILD    sconsw {' '.join(command[1:])}"))
    sys.stdout.flush()
    differs = False
    with subprocess.Popen(command, cwd=_project(), stdout=subprocess.PIPE, text=True, errors="replace") as build:
        for line in build.stdout or ():
            # SCons ends with 2 for a failed build and for outputs that differ alike.
            differs = differs or line.startswith("DIFFERS  ")
            print(line, end="", flush=True)
    if build.returncode == 0:
        return 0
    if differs:
        what = "isn't what this project gives"
        fix = "take the commit that it was built from, and the arguments: NAME=VALUE"
    else:
        what = f"couldn't be built again (exit {build.returncode}), so nothing is known of its bytes"
        fix = "correct what is said above, and check it again"
    say(f"FAILED   {PaperError(what, where=package.wheel.name, fix=fix)}")
    return 1
