"""Packs files into a wheel whose bytes depend on nothing but them: PEP 427, PEP 425 tags, core metadata 2.4 (PEP 639).

Reproducible because entries are stored (deflate's output differs between zlib versions), sorted, of mode 0644 and dated
1980-01-01, the earliest that ZIP can say; no path, user, time or version of the packer gets in.

A wheel with the objects of several arches is tagged `any`: the loader, at run time, takes the one that fits or
says that none does. One with a single arch's is for that platform, and pip refuses it elsewhere. 32-bit ARM is
`linux_armv7l`: pip asks for it in a 32-bit userland of a 64-bit kernel as well. One that carries a libbpf has a tag
`manylinux_2_28_<machine>` for each arch.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..arch import Arch
from ..errors import PackageError
from .names import Glibc, distribution_name, platform

DATE_TIME = (1980, 1, 1, 0, 0, 0)
UNIX_MODE = 0o100644 << 16  # a regular file, in the half of external_attr that is Unix's
REQUIRES_PYTHON = ">=3.9"  # what bpfloader needs
CLASSIFIERS = ("Operating System :: POSIX :: Linux", "Programming Language :: Python :: 3", "Typing :: Typed")
# SPDX 2.3, annex D: names of licences, put together by AND, OR, WITH and brackets. An index looks the names up.
LICENSE = re.compile(r"\(*[A-Za-z0-9.+-]+\)*( (AND|OR|WITH) \(*[A-Za-z0-9.+-]+\)*)*")


@dataclass(frozen=True)
class About:
    """The facts in a wheel's METADATA.

    `license` is an SPDX expression or empty, `description` Markdown unless `markup`, a MIME type, says otherwise;
    `license_files` are bytes by their path below the wheel's folder for licences.
    """

    name: str
    version: str
    summary: str = ""
    license: str = ""
    description: str = ""
    markup: str = "text/markdown"
    license_files: Mapping[str, bytes] | None = None


def build_wheel(
    about: About,
    files: Mapping[str, bytes],
    arches: Sequence[Arch],
    papers: Callable[[Mapping[str, bytes]], Mapping[str, bytes]] = lambda entries: {},
    glibc: Glibc | None = None,
) -> bytes:
    """Returns the bytes of a wheel with `files`, paths as they are installed.

    `papers` gives, for all files but RECORD, what is to lie in .dist-info beside them, by path; `glibc`
    is as for names.platform. Raises PackageError for a path that can't be.
    """
    _check_paths(files)
    licenses = about.license_files or {}
    _check_paths(licenses)
    info = f"{distribution_name(about.name, about.version)}.dist-info"
    entries = dict(sorted(files.items()))
    entries[f"{info}/METADATA"] = _metadata(about)
    entries[f"{info}/WHEEL"] = _wheel(platform(arches, glibc))
    entries |= {f"{info}/licenses/{path}": data for path, data in sorted(licenses.items())}
    entries |= {f"{info}/{path}": data for path, data in sorted(papers(entries).items())}
    entries[f"{info}/RECORD"] = _record(entries, f"{info}/RECORD")
    return zipped(entries)


def _metadata(about: About) -> bytes:
    if not about.summary.isprintable():
        raise PackageError("has more than one line", where="summary", fix="say it in one")
    if about.license and not LICENSE.fullmatch(about.license):
        fix = "name it as SPDX does: BSD-2-Clause, or GPL-2.0-only OR BSD-2-Clause (spdx.org/licenses)"
        raise PackageError(f"{about.license!r} is no SPDX licence expression", where="license", fix=fix)
    lines = ["Metadata-Version: 2.4", f"Name: {about.name}", f"Version: {about.version}"]
    lines += [f"Summary: {about.summary}"] if about.summary else []
    lines += [f"License-Expression: {about.license}"] if about.license else []
    lines += [f"License-File: {path}" for path in sorted(about.license_files or {})]
    lines += [f"Classifier: {classifier}" for classifier in CLASSIFIERS]
    lines += [f"Requires-Python: {REQUIRES_PYTHON}"]
    lines += [f"Description-Content-Type: {about.markup}; charset=UTF-8"] if about.description else []
    return "\n".join([*lines, "", about.description]).encode()


def _wheel(platform: str) -> bytes:
    pure = "true" if platform == "any" else "false"  # where to: purelib or platlib
    tags = [f"Tag: py3-none-{each}" for each in platform.split(".")]
    return "\n".join(["Wheel-Version: 1.0", "Generator: scons-bpf", f"Root-Is-Purelib: {pure}", *tags, ""]).encode()


def _record(entries: Mapping[str, bytes], itself: str) -> bytes:
    """Returns PEP 376's list: path, digest without padding, size; its own line has neither."""
    import base64  # here and below: a null build, which asks for no more than the wheel's name, pays for none of them
    import csv

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for path, data in entries.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        writer.writerow([path, f"sha256={digest}", len(data)])
    writer.writerow([itself, "", ""])
    return out.getvalue().encode()


def zipped(entries: Mapping[str, bytes]) -> bytes:
    """Returns the bytes of an archive of files by path, in their order."""
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, data in entries.items():
            entry = zipfile.ZipInfo(path, DATE_TIME)
            entry.external_attr = UNIX_MODE
            entry.create_system = 3  # Unix, on whichever system this runs
            archive.writestr(entry, data)
    return out.getvalue()


def _check_paths(paths: Iterable[str]) -> None:
    """Refuses what an installer would put outside of its folder, or put in one place twice where case doesn't count."""
    seen: dict[str, tuple[str, bool]] = {}
    for path in paths:
        parts = path.split("/")
        if not path.isprintable() or "\\" in path or ":" in path or any(part in ("", ".", "..") for part in parts):
            raise PackageError(f"{path!r} is no relative path", where="files", fix="write it as package/module.py")
        if parts[0].endswith((".dist-info", ".data")):
            raise PackageError(f"{path!r} lies in a folder that the wheel format keeps", where="files", fix="rename it")
        for depth in range(1, len(parts) + 1):
            part, is_file = "/".join(parts[:depth]), depth == len(parts)
            if seen.setdefault(part.casefold(), (part, is_file)) != (part, is_file):
                other = seen[part.casefold()][0]
                raise PackageError(f"{path!r} and {other!r} are one place", where="files", fix="rename one of them")
