"""Names a distribution's files: PEP 427, PEP 425 tags, names and versions as installers take them."""

import re
from collections.abc import Mapping, Sequence

from ..arch import Arch
from ..errors import PackageError

Glibc = Mapping[str, tuple[int, int]]

# Patterns as text: `re` compiles one where it is used, and the version's takes a null build 2 ms that it needn't pay.
DISTRIBUTION_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"  # core metadata: Name
PLAIN_VERSION = r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*"  # of most projects
VERSION = (  # PEP 440, appendix B, in its normal form
    rf"([1-9][0-9]*!)?{PLAIN_VERSION}((a|b|rc)(0|[1-9][0-9]*))?"
    r"(\.post(0|[1-9][0-9]*))?(\.dev(0|[1-9][0-9]*))?(\+[a-z0-9]+(\.[a-z0-9]+)*)?"
)


def distribution_name(name: str, version: str) -> str:
    """Returns the beginning of a distribution's file names: `socket_tracker-1.0`.

    Raises PackageError for a name or version that no installer would take.
    """
    return f"{_distribution(name)}-{_version(version)}"


def wheel_name(name: str, version: str, arches: Sequence[Arch], glibc: Glibc | None = None) -> str:
    """Returns the wheel's file name, such as `socket_tracker-1.0-py3-none-any.whl`; `glibc` is as for `platform`.

    Raises PackageError as distribution_name does, and for no arch at all.
    """
    return f"{distribution_name(name, version)}-py3-none-{platform(arches, glibc)}.whl"


def tar_name(name: str, version: str, arches: Sequence[Arch]) -> str:
    """Returns the tar's file name, as the wheel's: `socket_tracker-1.0-x86_64.tar`, or `-any.tar` for several arches.

    Raises PackageError as wheel_name does.
    """
    names = {arch.name for arch in arches}
    return f"{distribution_name(name, version)}-{names.pop() if len(names) == 1 else 'any'}.tar"


def _distribution(name: str) -> str:
    """Returns the name as file names have it: PEP 503's normal form with `_` for `-`, as the wheel format asks."""
    if not re.fullmatch(DISTRIBUTION_NAME, name):
        raise PackageError(
            f"{name!r} is no name of a distribution", where="name", fix="use letters, digits, -, _ and ."
        )
    return re.sub(r"[-_.]+", "_", name).lower()


def _version(version: str) -> str:
    if not isinstance(version, str):
        raise PackageError(f"{version!r} is no text", where="version", fix=f'write version="{version}"')
    if not (re.fullmatch(PLAIN_VERSION, version) or re.fullmatch(VERSION, version)):
        raise PackageError(f"{version!r} is no version", where="version", fix="write it as PEP 440 does: 1.2, 1.2rc1")
    return version


def platform(arches: Sequence[Arch], glibc: Glibc | None = None) -> str:
    """Returns the platform tag: `any` for the objects of several arches.

    With libraries it is a tag for each arch (PEP 600), and in a wheel of several arches all of them (PEP 425): `glibc`
    is the oldest that each arch's library runs with, by the arch's name.
    """
    if not arches:
        raise PackageError("a wheel is for at least one arch", where="arches", fix="name one, such as ARCH=x86_64")
    if glibc:
        tags = (f"manylinux_{glibc[arch.name][0]}_{glibc[arch.name][1]}_{arch.machine}" for arch in arches)
        return ".".join(sorted(set(tags)))
    machines = {arch.machine for arch in arches}
    return f"linux_{machines.pop()}" if len(machines) == 1 else "any"
