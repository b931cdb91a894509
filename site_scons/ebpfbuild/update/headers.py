"""Finds the headers of libbpf/vmlinux.h at a commit, and pins them in toolchain.toml."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ..arch import ARCHES, BY_NAME, Arch
from ..errors import FetchError, PinError
from ..fetch.github import RAW, Commit, GitHub, TreeEntry, git_id
from ..fetch.store import Store
from ..files import read_regular
from ..header import check_header
from ..pins.edit import HeaderEntry, TomlFile
from ..pins.pins import HeaderPin

REPOSITORY = "libbpf/vmlinux.h"
FOLDER = "include"  # of the repository: a folder an arch
_BASE = f"{RAW}/{REPOSITORY}"
_OURS = re.compile(re.escape(_BASE) + r"/([^/]+)/include(?:/.*)?")
_KERNEL = re.compile(r"vmlinux_(\d+(?:\.\d+)+[\w.-]*)\.h")


class FoundHeader(NamedTuple):
    """An arch's header at a commit: its path below `include`, its kernel by its name, and its bytes in the store."""

    arch: str
    kernel: str
    path: str
    sha256: str
    size: int
    file: Path

    def url(self, commit: str) -> str:
        """Returns where it is at a commit."""
        return f"{base_of(commit)}/{quote(self.path)}"


def base_of(commit: str) -> str:
    """Returns the URL that the headers of a commit lie below."""
    return f"{_BASE}/{commit}/{FOLDER}"


def commit_of(url: str) -> str:
    """Returns the commit (or branch) that a URL of a header, or of all, names; empty if it isn't libbpf/vmlinux.h's."""
    found = _OURS.fullmatch(url)
    return found[1] if found else ""


def upstream_arches(file: TomlFile, pins: Iterable[HeaderPin]) -> list[str]:
    """Returns the arches whose header this file itself pins at libbpf/vmlinux.h.

    Raises PinError if there is none: a project's file may leave all to that of the checkout.
    """
    own = file.data.get("vmlinux", {})
    found = [pin.arch for pin in pins if pin.arch in own and commit_of(pin.source.location)]
    if not found:
        fix = f"pin one here: ./sconsw pins add {ARCHES[0].name}; or update the checkout of scons-bpf, whose pins count"
        raise PinError(f"pins no header of {REPOSITORY} itself", where=str(file.path), fix=fix)
    return found


def find_header(
    github: GitHub, tree: dict[str, TreeEntry], commit: Commit, arch: Arch, old: HeaderPin | None, store: Store
) -> FoundHeader:
    """Returns an arch's header at a commit, in the store, checked to be one of that arch's.

    Nothing is fetched where `old`, the pin so far, has the same bytes. Raises FetchError, and HeaderError for a header
    that doesn't fit.
    """
    name = next((name for name in (arch.name, *arch.aliases) if f"{FOLDER}/{name}" in tree), arch.name)
    path = github.resolve(commit.id, tree, f"{FOLDER}/{name}/vmlinux.h")
    kernel = _KERNEL.fullmatch(path.rpartition("/")[2])
    if not path.startswith(f"{FOLDER}/") or not kernel:
        what = f"{path} of commit {commit.id[:12]} doesn't tell its kernel, as {FOLDER}/{arch.name}/vmlinux_6.19.h does"
        raise FetchError(what, where=REPOSITORY, fix="take another commit: --commit ID")
    had = store.get(old.sha256) if old and old.sha256 else None
    data = read_regular(had) if had else b""
    if git_id(data) != tree[path].id:
        data = github.file(commit.id, path, tree[path], title=f"vmlinux.h for {arch.name} (Linux {kernel[1]})")
    file = store.add(data)
    check_header(data, arch, f"{REPOSITORY}: {path}")
    return FoundHeader(arch.name, kernel[1], path.removeprefix(f"{FOLDER}/"), file.name, len(data), file)


def repin(file: TomlFile, found: Iterable[FoundHeader], commit: Commit) -> None:
    """Has a file's headers be those found at a commit. A `base` of libbpf/vmlinux.h becomes the commit's."""
    headers = file.data["vmlinux"]
    old_base = headers.get("base", "")
    if commit_of(old_base):
        _keep_alternates(file, old_base)
        _set(file, ("vmlinux", "base"), base_of(commit.id))
        _set(file, ("vmlinux", "date"), commit.day)
    for header in found:
        table = headers[header.arch]
        relative = "://" not in table["url"]
        _set(file, ("vmlinux", header.arch, "kernel"), header.kernel)
        _set(file, ("vmlinux", header.arch, "url"), quote(header.path) if relative else header.url(commit.id))
        _set(file, ("vmlinux", header.arch, "sha256"), header.sha256)
        _set(file, ("vmlinux", header.arch, "size"), header.size)
        if not relative or "date" in table:
            _set(file, ("vmlinux", header.arch, "date"), commit.day)


def add_header(file: TomlFile, header: FoundHeader, commit: Commit) -> None:
    """Adds a header's table to a file, with a URL below its `base` where that is the commit's."""
    headers = file.data.get("vmlinux", {})
    below = headers.get("base", "").rstrip("/") == base_of(commit.id)
    location = quote(header.path) if below else header.url(commit.id)
    day = None if below and "date" in headers else commit.day
    file.add_header(header.arch, HeaderEntry(header.kernel, "url", location, header.sha256, header.size, day))


def require_upstream(arch: Arch) -> None:
    """Refuses an arch that libbpf/vmlinux.h has no header of. Raises PinError."""
    if arch not in ARCHES:
        made = "bpftool btf dump file /sys/kernel/btf/vmlinux format c"
        fix = f"make it on such a machine, {made}, and pin it with path="
        raise PinError(f"{REPOSITORY} has no header of {arch.name}", where=f"vmlinux.{arch.name}", fix=fix)


def require_unpinned(file: TomlFile, arch: Arch) -> None:
    """Refuses an arch that a file itself pins a header of. Raises PinError."""
    if arch.name in file.data.get("vmlinux", {}):
        where, fix = f"{file.path}: vmlinux.{arch.name}", "have it updated (pins update), or remove its table"
        raise PinError("is pinned already", where=where, fix=fix)


def default_commit(pins: Iterable[HeaderPin]) -> str:
    """Returns the commit that most of the pins name, for one more; empty where none names a whole id."""
    ids = [found for pin in pins if re.fullmatch("[0-9a-f]{40}", found := commit_of(pin.source.location))]
    return max(ids, key=ids.count, default="")


def _keep_alternates(file: TomlFile, base: str) -> None:
    """Has alternates below the old base keep their place: they are other commits' bytes."""
    for name, table in file.data["vmlinux"].items():
        for number, alternate in enumerate(table.get("alternate", ()) if name in BY_NAME else ()):
            if "://" not in alternate.get("url", "://"):
                key = ("vmlinux", name, "alternate", number, "url")
                file.set(key, f"{base.rstrip('/')}/{alternate['url']}")


def _set(file: TomlFile, key: tuple[str, ...], value: object) -> None:
    table = file.data
    for part in key[:-1]:
        table = table[part]
    if table.get(key[-1]) != value:
        file.set(key, value)
