"""Compares the parameters that two wheels were built with, by the statements in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import EbpfError
from ..verify.package_checks import PackageFile
from ..verify.wheel_file import read_wheel


def unlike_parameters(ours: Path, theirs: Path) -> str:
    """Says which parameters of two wheels' statements differ: a reason why the bytes do.

    Empty where none does, and for what is no wheel of this build's.
    """
    if ours.suffix != ".whl" or theirs.suffix != ".whl":
        return ""
    try:
        own, other = (PackageFile(read_wheel(path)).statement.external for path in (ours, theirs))
    except EbpfError:
        return ""
    names = sorted(name for name in own.keys() | other.keys() if own.get(name) != other.get(name))
    return f"theirs has {_words(names, other)}, ours {_words(names, own)}; build with the same" if names else ""


def _words(names: list[str], external: Mapping[str, Any]) -> str:
    """Returns parameters as a command line has them."""
    return ", ".join(f"{name}={_value(external[name])}" if name in external else f"no {name}=" for name in names)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "1" if value is True else str(value)
