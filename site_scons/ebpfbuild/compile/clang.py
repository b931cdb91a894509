"""Finds the pinned clang, checks its version, and fingerprints all the code that it consists of."""

import hashlib
import importlib.util
import os
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from .. import host_tools
from ..errors import CompilerError
from ..host_tools import CLEAN_ENVIRONMENT, libraries
from ..rebuild.ledger import Ledger
from . import clang_release

# A library upgrade rewrites this, so a new one that is found first is noticed.
_LOADER_CACHE = "/etc/ld.so.cache"


class Compiler(NamedTuple):
    """A clang: the words that start it, its exact version, a sha256 over its binary and the libraries it loads.

    `packed` is how packages call it: one digest for all machines where the lock pins its wheel, or the fingerprint.
    """

    argv: tuple[str, ...]
    version: str
    fingerprint: str
    packed: str


def locate(package: str | None, path: str | None, version: str, where: str, ledger: Ledger) -> Compiler:
    """Returns the compiler of a `[compiler]` table, its version checked and its code fingerprinted.

    Raises CompilerError. What running it tells is remembered by the digest of its binary: a second build starts no
    process for it.
    """
    argv = _packaged(package, where) if package else _installed(path or "", where)
    binary = argv[0]
    # These modules say what the facts are.
    code = " ".join(
        ledger.digest(each)
        for each in (__file__, host_tools.__file__, clang_release.__file__, clang_release.LOCK_READER)
    )
    key = f"compiler {binary} {ledger.digest(binary)} {code}"
    if package and clang_release.LOCK.is_file():
        key += f" {ledger.digest(str(clang_release.LOCK))}"
    if os.path.exists(_LOADER_CACHE):
        key += f" {ledger.digest(_LOADER_CACHE)}"
    folder = Path(binary).parent if package else None
    facts = ledger.fact(key, lambda: _facts(argv, where, folder, ledger.digest(binary)))
    if facts["version"] != version:
        raise CompilerError(
            f"this is clang {facts['version']}, the pin says {version}",
            where=f"{where} ({binary})",
            fix=f'install clang {version}, or accept this one: version = "{facts["version"]}"',
        )
    parts = sorted((os.path.basename(file), ledger.digest(file)) for file in (binary, *facts["libraries"]))
    lines = "".join(f"{digest}  {name}\n" for name, digest in parts)
    fingerprint = hashlib.sha256(lines.encode()).hexdigest()
    return Compiler((*argv, *facts["flags"]), version, fingerprint, facts["release"] or fingerprint)


def package_folder(package: str, where: str) -> Path:
    """Returns the folder of an installed Python package that carries a clang. Raises CompilerError."""
    spec = importlib.util.find_spec(package)
    folders = map(Path, spec.submodule_search_locations or ()) if spec else ()
    folder = next((folder for folder in folders if (folder / "zig").is_file()), None)
    if folder is None:
        raise CompilerError(
            f"the Python package {package} is not installed",
            where=where,
            fix="run ./sconsw, or pip install --require-hashes -r requirements.lock",
        )
    return folder


def _packaged(package: str, where: str) -> tuple[str, ...]:
    return (str(package_folder(package, where) / "zig"), "clang")


def _installed(path: str, where: str) -> tuple[str, ...]:
    if not os.access(path, os.X_OK) or not os.path.isfile(path):
        raise CompilerError(
            f"no compiler at {path}", where=where, fix='install it, or take the packaged one: package = "ziglang"'
        )
    return (os.path.realpath(path),)


def _facts(argv: tuple[str, ...], where: str, folder: Path | None, sha256: str) -> dict[str, Any]:
    """Runs the compiler for its version and libraries; `folder` is that of the package which carries it, if any.

    The `flags` keep a distribution's clang.cfg out, from clang 15 on.
    """
    version = _version(argv, where)
    flags = ["--no-default-config"] if int(version.split(".")[0]) >= 15 else []
    release = clang_release.release_digest(folder, sha256) if folder else ""
    return {"version": version, "libraries": libraries(argv[0]), "flags": flags, "release": release}


def _version(argv: tuple[str, ...], where: str) -> str:
    text = _run([*argv, "--version"], where)
    if not (match := re.search(r"clang version (\d+\.\d+\.\d+)", text)):
        raise CompilerError(
            f"{argv[0]} is no clang: it calls itself {text[:60].strip()!r}", where=where, fix="name a clang"
        )
    return match[1]


def _run(argv: list[str], where: str) -> str:
    try:
        done = subprocess.run(argv, env=CLEAN_ENVIRONMENT, capture_output=True, text=True, errors="replace", check=True)
        return done.stdout
    except OSError as error:
        why = error.strerror
    except subprocess.CalledProcessError as error:
        why = f"it ended with {error.returncode}"
        if said := error.stderr.split("\n", 1)[0].strip():
            why += f", and said: {said[:200]}"
    raise CompilerError(f"{argv[0]} does not run ({why})", where=where, fix="reinstall it")
