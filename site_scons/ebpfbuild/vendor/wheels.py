"""The wheels of the locks, for other machines and Pythons than this one, by pip."""

import html
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..errors import VendorError
from ..python_lock import python_version, read_lock

# glibc's versions that tags of wheels name (PEP 600), up to that of Debian trixie; older spellings (PEP 513, 571, 599).
GLIBC_MINORS = range(5, 42)
LEGACY = ("manylinux1", "manylinux2010", "manylinux2014")
OLDEST_PYTHON = (3, 11)


def require_python(python: str) -> None:
    """Raises VendorError for what is no Python that sconsw runs with."""
    parts = python.split(".")
    if (
        len(parts) != 2
        or not all(part.isascii() and part.isdecimal() for part in parts)
        or python_version(python) < OLDEST_PYTHON
    ):
        fix = "write versions such as PYTHONS=3.11,3.13, from 3.11 on"
        raise VendorError(f"{python}: no Python that sconsw runs with", where="PYTHONS", fix=fix)


def download_wheels(locks: Iterable[Path], host: str, python: str, folder: Path) -> None:
    """Puts the wheels that a machine such as "aarch64" needs into a folder, each verified by the hashes of its lock.

    Raises VendorError with pip's reasons.
    """
    # Each lock by itself: a package may stand in two of them.
    for lock in locks:
        wanted = [package for package in read_lock(lock).packages if package.applies(python)]
        with tempfile.NamedTemporaryFile("w", prefix="lock-", suffix=".txt") as file:
            file.writelines(f"{package.requirement}\n" for package in wanted)
            file.flush()
            _download(file.name, host, python, folder)


def _download(lock: str, host: str, python: str, folder: Path) -> None:
    command = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--dest", str(folder), "--requirement", lock]
    command += ["--implementation", "cp", "--python-version", python]
    command += [part for abi in (f"cp{python.replace('.', '')}", "abi3", "none") for part in ("--abi", abi)]
    command += [part for platform in platforms(host) for part in ("--platform", platform)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        what = f"pip can't get the wheels for {host} with Python {python}"
        fix = "check the network, or set PIP_INDEX_URL to an index that has them"
        raise VendorError(what, fix=fix, details=tuple(line[:200] for line in said[:5]))


def platforms(host: str) -> list[str]:
    """Returns the platform tags of wheels that a machine with glibc takes, oldest first."""
    names = [*LEGACY, *(f"manylinux_2_{minor}" for minor in GLIBC_MINORS), "linux"]
    return [f"{name}_{host}" for name in names]


def index_page(files: dict[str, str]) -> bytes:
    """Returns an HTML page that links each wheel with its sha256, as pip's --find-links reads it from any web server.

    Source: https://packaging.python.org/en/latest/specifications/simple-repository-api/ (PEP 503).
    """
    links = (
        f'<a href="{html.escape(name)}#sha256={files[name]}">{html.escape(name)}</a><br>' for name in sorted(files)
    )
    return ("<!DOCTYPE html>\n<title>wheels</title>\n" + "\n".join(links) + "\n").encode()
