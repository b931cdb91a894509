"""Takes Python packages out of the environment that runs the tests here, for a guest of any arch and Python.

They are those that pip installed from the locks, with what they need; a package's compiled modules stay away, as they
are of this machine and this Python. Each file is held against the digest that its package's RECORD has of it.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from ..errors import BootError
from ..files import read_regular

COMPILED = re.compile(r"\.(so|pyd)(\.|$)|(^|/)__pycache__/")
NAME = re.compile(r"[A-Za-z0-9._-]+")


def python_packages(names: Iterable[str]) -> dict[str, bytes]:
    """Returns the files of packages, and of those that they need, by their path in site-packages.

    Raises BootError for one that isn't installed, and for a file that is not the installed one.
    """
    found: dict[str, bytes] = {}
    wanted, done = [(name, True) for name in names], set[str]()
    while wanted:
        name, asked = wanted.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in done:
            continue
        done.add(key)
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if not asked:  # what only another system or Python needs
                continue
            fix = f"install it there: pip install {name}"
            raise BootError(f"{name} is not installed where the tests run", where="boot test", fix=fix) from None
        found |= _files(package)
        wanted += [(need, False) for need in map(_needed, package.requires or ()) if need]
    return found


def _needed(requirement: str) -> str:
    """Returns the name that a requirement begins with; empty for one of an extra."""
    marker = requirement.partition(";")[2]
    found = NAME.match(requirement.strip())
    return found[0] if found and "extra" not in marker else ""


def _files(package: metadata.Distribution) -> dict[str, bytes]:
    found = {}
    for file in package.files or ():
        path = file.as_posix()
        if path.startswith("../") or COMPILED.search(path) or file.hash is None:
            continue
        data = read_regular(Path(str(file.locate())))
        digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, data).digest()).rstrip(b"=").decode()
        if digest != file.hash.value:
            what = f"{path} is not as pip installed it"
            raise BootError(what, where="boot test", fix="make the environment anew: remove .venv")
        found[path] = data
    return found
