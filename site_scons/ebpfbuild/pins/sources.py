"""Reads the keys that say where the bytes of a pin are: a URL, a pool path, a local file, an archive, a kernel."""

from pathlib import Path

from ..escape import without_secrets
from .checks import inside_fault, pool_fault, sha256_fault, url_fault
from .pins import HOST_BTF, ArtifactSource, HeaderPin, KernelBtfPin
from .toml_lines import Table


def source_of(table: Table, inside: str, pinned: bool, base: str | None = None) -> ArtifactSource:
    """Reads where a pin's bytes are. `inside` is the key of what is taken out of an archive, empty to take it whole."""
    url = table.optional_text("url", None if base else url_fault)
    pool = table.optional_text("pool", pool_fault)
    path = table.optional_text("path")
    given = [kind for kind, value in (("url", url), ("pool", pool), ("path", path)) if value]
    if len(given) != 1:
        what = f"has {' and '.join(given)}" if given else "has no source"
        raise table.error("", what, "give it one of url, pool (a path below a Debian archive) or path (a local file)")
    kind = given[0]
    location = _joined(table, url, base, pinned) if url else pool or path or ""
    archive = kind == "pool" or inside == "folder" or location.endswith((".deb", ".tar.gz", ".tgz", ".tar.xz"))
    read = table.text if archive else table.optional_text
    member = read(inside, inside_fault) if inside else ""
    digest = table.optional_text("archive_sha256", sha256_fault)
    if digest and not member:
        raise table.error("archive_sha256", "belongs to an archive, and there is none", "remove it, or name the member")
    file = table.path.parent / path if path else None
    return ArtifactSource(kind, location, table.where(kind), file, member or "", digest)


def _joined(table: Table, url: str, base: str | None, pinned: bool) -> str:
    whole = url if "://" in url or not base else f"{base.rstrip('/')}/{url}"
    wrong = url_fault(whole)
    if wrong:
        raise table.error("url", wrong.replace(repr(whole), repr(without_secrets(whole))))
    if whole.startswith("http:") and not pinned:
        raise table.error("url", "is plain http and nothing pins its bytes", "write https, or add the sha256 first")
    return whole


def btf_source(table: Table) -> ArtifactSource:
    """Reads where the kernel is of whose BTF a header is made: `host`, a pool path, a URL, or a local path."""
    for other in ("url", "pool", "path", "archive_sha256"):
        if other in table.data:
            fix = "keep one of them" if other != "archive_sha256" else "call it input_sha256"
            raise table.error(other, "stands beside btf, which says where the kernel is", fix)
    source, base = named_kernel(table, "btf", "member", "input_sha256"), table.optional_text("btf_base")
    if base and source.kind != "path":
        raise table.error("btf_base", "goes with a module of this machine", "name both by their paths")
    return source._replace(base=_kernel_path(base, table.path.parent)) if base else source


def named_kernel(table: Table, key: str, member: str, digest: str) -> ArtifactSource:
    """Reads the keys that name a kernel's file: where it is, the file in a package, and the sha256 of it whole."""
    location = table.text(key)
    kind = _kind_of(location)
    if wrong := pool_fault(location) if kind == "pool" else url_fault(location) if kind == "url" else "":
        raise table.error(key, wrong)
    inside, sha256 = table.optional_text(member, inside_fault) or "", table.optional_text(digest, sha256_fault)
    return _kernel_source(kind, location, table.where(key), table.path.parent, inside, sha256)


def _kernel_source(
    kind: str, location: str, where: str, folder: Path, member: str = "", digest: str | None = None
) -> ArtifactSource:
    file = _kernel_path(location, folder) if kind == "path" else None
    return ArtifactSource(kind, location, where, file, member, digest, btf=True)


def _kind_of(location: str) -> str:
    return "pool" if location.startswith("pool/") else "url" if "://" in location else "path"


def _kernel_path(location: str, folder: Path) -> Path:
    return folder / (HOST_BTF if location == "host" else location)


def given_header(arch: str, text: str, folder: Path, asked: str = "VMLINUX") -> HeaderPin:
    """Returns the pin that VMLINUX= stands for: `host`, or the path of a kernel's file, from `folder`.

    Behind a module's stands, with a comma before it, that of its kernel. `asked` is what the command line says it by.
    """
    file, _, base = text.partition(",")
    source = _kernel_source("path", file, f"{asked}={text}", folder)
    source = source._replace(base=_kernel_path(base, folder)) if base else source
    return HeaderPin(f"vmlinux.{arch}", arch, source.name, source, None, None, source.where, given=True)


def given_kernel_btf(name: str, arch: str, kernel: str, location: str) -> KernelBtfPin:
    """Returns the pin that `pins add --btf` stands for: any BTF that comes of a path, a pool path or a URL."""
    kind, where = _kind_of(location), f"--btf={without_secrets(location)}"
    source = _kernel_source(kind, location, where, Path())
    return KernelBtfPin(f"kernels.{name}.btf", arch, kernel, source, None, None, where, given=True)


def require_each_once(table: Table, part: str, values: list[str]) -> None:
    """Raises PinError for a value that a part of a table declares twice."""
    for i, value in enumerate(values):
        if value in values[:i]:
            raise table.error(part, f"declares {without_secrets(value)} twice", "remove one")
