"""Checks a wheel against itself: RECORD, names, manifest, the papers in it, and the way it is packed.

Each check yields a PaperError for each thing that is wrong: where, what, and what to do.
"""

import base64
import csv
import io
import re
from collections.abc import Iterator
from email.parser import Parser
from typing import Any

from ..arch import BY_NAME
from ..bundle.needs import check_needs
from ..errors import BundleError, ElfError, PaperError
from ..package.libraries import MODULE, module_text
from ..package.manifest import MANIFEST_NAME
from ..package.wheel import zipped
from ..release import provenance
from ..release.materials import BUNDLED, COMPILER, KERNEL, LIBBPF, LINKER, PACKAGE, UAPI, VMLINUX, Material
from ..release.papers import SBOM_ENDING, SBOM_FOLDER, STATEMENT_ENDING, contents_of
from ..release.sbom import sbom
from ..release.sums import SUMS, read_sums, sha256
from .wheel_file import COPY_AGAIN, WheelFile

_SKELETON_S_MANIFEST = re.compile(rb'^    MANIFEST = "([0-9a-f]{64})"$', re.MULTILINE)
REBUILD = "don't install it; build it again, or ask whoever built it"


class PackageFile:
    """A wheel of this build's: its manifest, its statement, the places of its other papers. Raises PaperError."""

    def __init__(self, wheel: WheelFile):
        self.wheel = wheel
        metadata = wheel.read(f"{wheel.info}/METADATA").decode("utf-8", "replace")
        self.metadata = Parser().parsestr(metadata, headersonly=True)
        self.manifest_path = _manifest_path(wheel)
        self.name = self.manifest_path.partition("/")[0]
        self.manifest = provenance.from_json(wheel.read(self.manifest_path), self.manifest_path)
        self.statement_path = self._paper(f"{self.name}{STATEMENT_ENDING}")
        self.sbom_path = self._paper(f"{self.name}{SBOM_ENDING}")
        self.sums_path = self._paper(SUMS)
        self.statement = provenance.read_statement(wheel.read(self.statement_path), self.statement_path)
        self.objects = _objects(self.manifest, self.manifest_path)

    def _paper(self, name: str) -> str:
        return f"{self.wheel.info}/{SBOM_FOLDER}/{name}"

    @property
    def arches(self) -> list[str]:
        """The arches of its objects, sorted."""
        return sorted({arch for arch, _ in self.objects})

    @property
    def proven(self) -> int:
        """The number of its objects that have a proof. A build proves all that have something to prove, or none."""
        return sum("proof" in entry for _, entry in self.objects)

    def materials(self) -> list[Material]:
        """Returns the inputs that the statement names."""
        return [_material(each) for each in self.statement.dependencies.values()]


def check_record(package: PackageFile) -> Iterator[PaperError]:
    """Yields what RECORD and the wheel's files don't agree in (PEP 376, PEP 427)."""
    wheel, path = package.wheel, f"{package.wheel.info}/RECORD"
    listed: dict[str, list[str]] = {}
    try:
        for row in csv.reader(io.StringIO(wheel.read(path).decode()), strict=True):
            if len(row) != 3 or row[0] in listed:
                raise ValueError(row)
            listed[row[0]] = row[1:]
    except (ValueError, csv.Error):
        yield PaperError("is no list of files, each once", where=path, fix=COPY_AGAIN)
        return
    for name, data in wheel.files.items():
        digest = base64.urlsafe_b64encode(bytes.fromhex(sha256(data))).rstrip(b"=").decode()
        wanted = ["", ""] if name == path else [f"sha256={digest}", str(len(data))]
        if listed.pop(name, None) != wanted:
            yield PaperError(f"isn't what {path} says", where=name, fix=COPY_AGAIN)
    for name in listed:
        yield PaperError(f"is listed in {path}, and the wheel lacks it", where=name, fix=COPY_AGAIN)


def check_names(package: PackageFile) -> Iterator[PaperError]:
    """Yields where name and version of the file, METADATA, manifest and statement aren't the same."""
    wheel, told = package.wheel, package.statement.external
    facts = package.manifest.get("name"), package.manifest.get("version")
    metadata = package.metadata["Name"], package.metadata["Version"]
    for where, found in (
        (f"{wheel.info}/METADATA", metadata),
        (package.statement_path, (told.get("name"), told.get("version"))),
    ):
        if found != facts:
            what = f"is of {found[0]} {found[1]}, {package.manifest_path} of {facts[0]} {facts[1]}"
            yield PaperError(what, where=where, fix=COPY_AGAIN)
    if not wheel.name.startswith(f"{wheel.info.removesuffix('.dist-info')}-"):
        yield PaperError(
            f"holds {wheel.info}, which is another package's", where=wheel.name, fix="give it back its name"
        )
    if told.get("ARCH") != package.arches:
        what = f"is of objects for {told.get('ARCH')}, {package.manifest_path} has {package.arches}"
        yield PaperError(what, where=package.statement_path, fix=COPY_AGAIN)


def check_manifest(package: PackageFile) -> Iterator[PaperError]:
    """Yields what manifest, objects, skeletons and statement don't agree in."""
    wheel, folder = package.wheel, package.name
    for _, entry in package.objects:
        path, data = f"{folder}/{entry['object']['path']}", wheel.files.get(f"{folder}/{entry['object']['path']}")
        if not _is(entry["object"], data):
            yield PaperError(f"isn't the object that {package.manifest_path} says", where=path, fix=REBUILD)
        for row in entry.get("btfs", ()):
            path = f"{folder}/{row['path']}"
            if not _is(row, wheel.files.get(path)):
                yield PaperError(f"isn't the BTF that {package.manifest_path} says", where=path, fix=REBUILD)
    digest = sha256(wheel.read(package.manifest_path)).encode()
    for path, data in wheel.files.items():
        if (
            path.startswith(f"{folder}/")
            and path.endswith("_skel.py")
            and _SKELETON_S_MANIFEST.findall(data) != [digest]
        ):
            yield PaperError(f"was packed with another {package.manifest_path}", where=path, fix=REBUILD)
    yield from _check_libraries(package)
    yield from _check_inputs(package)


def _is(facts: dict[str, Any], data: bytes | None) -> bool:
    """Returns True for the bytes that an entry of the manifest speaks of."""
    return data is not None and (sha256(data), len(data)) == (facts["sha256"], facts["size"])


def _check_libraries(package: PackageFile) -> Iterator[PaperError]:
    """Yields what manifest, the libraries of libbpf, their module and the wheel's name don't agree in."""
    wheel, folder = package.wheel, package.name
    libraries = package.manifest.get("libraries", {})
    module = f"{folder}/{MODULE}"
    if wheel.files.get(module) != (module_text(libraries) if libraries else None):
        yield PaperError(f"isn't what {package.manifest_path} gives", where=module, fix=REBUILD)
    told = {each.kind for each in package.materials()}
    if bool(libraries) != (BUNDLED in told):
        lists = f"{package.manifest_path} lists {'a' if libraries else 'no'} libbpf"
        what = f"names {'no' if libraries else 'the'} sources of a libbpf, and {lists}"
        yield PaperError(what, where=package.statement_path, fix=REBUILD)
    for arch, entry in libraries.items():
        path = f"{folder}/{entry['path']}"
        data = wheel.files.get(path, b"")
        if not _is(entry, data):
            yield PaperError(f"isn't the library that {package.manifest_path} says", where=path, fix=REBUILD)
            continue
        try:
            check_needs(data, _glibc_of_name(wheel.name, arch), path)
        except (BundleError, ElfError) as error:
            yield PaperError(error.what, where=path, fix=REBUILD)


def _glibc_of_name(name: str, arch: str) -> tuple[int, int]:
    """Returns the oldest glibc that a wheel's name promises an arch; none is older than 0.0."""
    machine = BY_NAME[arch].machine if arch in BY_NAME else arch
    found = re.search(rf"[.-]manylinux_(\d+)_(\d+)_{re.escape(machine)}[.]", name)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _check_inputs(package: PackageFile) -> Iterator[PaperError]:
    """Yields where the manifest's inputs of an object aren't those of the statement."""
    told = package.materials()
    headers = {each.arch: each.digest.get("sha256") for each in told if each.kind == VMLINUX}
    compilers = {(each.version, each.digest.get("pipHashes")) for each in told if each.kind == COMPILER}
    sets = {kind: {each.digest.get("dirHash") for each in told if each.kind == kind} for kind in (LIBBPF, UAPI, LINKER)}
    kernels = {each.digest.get("sha256") for each in told if each.kind == KERNEL}
    for arch, entry in package.objects:
        where = f"{package.manifest_path}: {entry['object']['path']}"
        for row in entry.get("btfs", ()):
            if row["source"] not in kernels:
                what = f"is of a kernel which {package.statement_path} doesn't name"
                yield PaperError(what, where=f"{package.manifest_path}: {row['path']}", fix=REBUILD)
        what = f"which {package.statement_path} doesn't name"
        if "header" in entry and headers.get(arch) != entry["header"].get("sha256"):
            yield PaperError(f"was made with a vmlinux.h of {arch} {what}", where=where, fix=REBUILD)
        made_by = entry.get("compiler", {}).get("version"), entry.get("compiler", {}).get("fingerprint")
        if "compiler" in entry and not {made_by, (made_by[0], None)} & compilers:
            yield PaperError(f"was made by a clang {what}", where=where, fix=REBUILD)
        for kind, name in ((LIBBPF, "libbpf's headers"), (UAPI, "UAPI headers"), (LINKER, "a linker")):
            if kind in entry and entry[kind].get("sha256") not in sets[kind]:
                yield PaperError(f"was made with {name} {what}", where=where, fix=REBUILD)


def check_proven(package: PackageFile) -> Iterator[PaperError]:
    """Yields an error where no object has a proof, one where a proof isn't of equal objects, one for another PROVE."""
    where = package.manifest_path
    if not package.proven:
        fix = "have it built with RELEASE=1, or with PROVE=1; one of full headers alone (minimize off) has none"
        yield PaperError("has a proof of no object", where=where, fix=fix)
    for _, entry in package.objects:
        proof = entry.get("proof", {"equal": True})
        if not (isinstance(proof, dict) and proof.get("equal") is True):
            path = entry["object"]["path"]
            yield PaperError("its proof doesn't say that the objects are equal", where=f"{where}: {path}", fix=REBUILD)
    if (package.statement.external.get("PROVE") is True) != bool(package.proven):
        what = f"says of PROVE what {where} doesn't have"
        yield PaperError(what, where=package.statement_path, fix=COPY_AGAIN)


def check_sums(package: PackageFile) -> Iterator[PaperError]:
    """Yields what SHA256SUMS and the wheel's files don't agree in."""
    wheel, path = package.wheel, package.sums_path
    listed = read_sums(wheel.read(path), path)
    unlisted = {f"{wheel.info}/RECORD", path, package.statement_path}
    for name, data in wheel.files.items():
        if name not in unlisted and listed.pop(name, None) != sha256(data):
            yield PaperError(f"isn't what {path} says", where=name, fix=COPY_AGAIN)
    for name in listed:
        yield PaperError(f"is listed in {path}, and the wheel lacks it", where=name, fix=COPY_AGAIN)


def check_statement(package: PackageFile) -> Iterator[PaperError]:
    """Yields where the statement speaks of other bytes than the wheel's objects and SHA256SUMS."""
    wheel = package.wheel
    packed = [each for _, entry in package.objects for each in (entry["object"], *entry.get("btfs", ()))]
    about = {f"{package.name}/{each['path']}" for each in packed} | {package.sums_path}
    wanted = {path: sha256(wheel.files[path]) for path in about if path in wheel.files}
    for path in sorted(wanted.keys() | package.statement.subjects.keys()):
        if package.statement.subjects.get(path) != wanted.get(path):
            yield PaperError(f"isn't what {package.statement_path} speaks of", where=path, fix=COPY_AGAIN)


def check_sbom(package: PackageFile) -> Iterator[PaperError]:
    """Yields where the bill of materials isn't the one that manifest, METADATA and statement give."""
    where = package.sbom_path
    found = provenance.from_json(package.wheel.read(where), where)
    try:
        wanted = provenance.from_json(derived_sbom(package), where)
    except (KeyError, TypeError, ValueError, AttributeError):
        yield provenance.not_ours(where, "bill of materials")
        return
    if found != wanted:
        place = difference(found, wanted) or "its order"
        yield PaperError(f"isn't what manifest and statement give: {place}", where=where, fix=COPY_AGAIN)


def derived_sbom(package: PackageFile, digest: str = "") -> bytes:
    """Returns the bill of materials that manifest, METADATA and statement give; `digest` is that of the wheel."""
    told = provenance.from_json(package.wheel.read(package.sbom_path), package.sbom_path)
    parts = told["components"]
    version = next((each.get("version", "") for each in parts if each["bom-ref"] == "bpfloader"), "")
    prefix = f"{package.name}/bpfloader/"
    loader = {path.removeprefix(prefix): data for path, data in package.wheel.files.items() if path.startswith(prefix)}
    license = package.metadata["License-Expression"] or ""
    contents = contents_of(package.wheel.read(package.manifest_path), license, version, loader, digest)
    return sbom(contents, package.materials())


def check_packing(package: PackageFile) -> Iterator[PaperError]:
    """Yields an error where an archive has more than its files: comments, times, modes, bytes before or behind."""
    if zipped(package.wheel.files) != package.wheel.data:
        yield PaperError("isn't packed as this build packs", where=package.wheel.name, fix=REBUILD)


def difference(one: Any, other: Any, path: str = "") -> str:
    """Returns the path of the first value in which two JSON values differ, such as `.components[2].name`."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if one.get(key, ...) != other.get(key, ...):
                return difference(one.get(key), other.get(key), f"{path}.{key}")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other)):
            if left != right:
                return difference(left, right, f"{path}[{number}]")
    return path


def _manifest_path(wheel: WheelFile) -> str:
    found = [path for path in wheel.files if path.endswith(f"/{MANIFEST_NAME}") and path.count("/") == 1]
    if len(found) != 1:
        fix = "name a wheel that BpfPackage or BpfProgram made"
        raise PaperError(f"has no {MANIFEST_NAME}, or several", where=wheel.name, fix=fix)
    return found[0]


def _objects(manifest: dict[str, Any], where: str) -> list[tuple[str, dict[str, Any]]]:
    """Returns the manifest's entries with their arches. Raises PaperError for what is no manifest of this build's."""
    try:
        found = [(arch, each) for by_arch in manifest["programs"].values() for arch, each in sorted(by_arch.items())]
        for _, each in found:
            made = [each.get(key, {}) for key in ("header", "compiler", LIBBPF, UAPI, LINKER)]
            entry = each["object"]
            files = [entry, *each.get("btfs", ())]
            texts = [entry["license"], *(text for one in made for text in one)]
            texts += [row[key] for row in files for key in ("path", "sha256")]
            texts += [row[key] for row in files[1:] for key in ("kernel", "source")]
            sizes = [type(row["size"]) is int for row in files]
            if not all(isinstance(text, str) for text in texts) or not all(sizes):
                raise ValueError(each)
        for arch, each in manifest.get("libraries", {}).items():
            texts = [arch, each["path"], each["sha256"], each["libbpf"], each["glibc"]]
            if not all(isinstance(text, str) for text in texts) or type(each["size"]) is not int:
                raise ValueError(each)
        if manifest["format"] != 1 or not found:
            raise ValueError(manifest["format"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise provenance.not_ours(where, "manifest") from None
    return found


def _material(descriptor: Any) -> Material:
    """Returns the input that an entry of a statement stands for."""
    about = descriptor["annotations"]
    kind, name = about["kind"], descriptor["name"]
    if kind == PACKAGE:
        name = name.removeprefix("pkg:pypi/").partition("@")[0]
    return Material(
        kind, name, about.get("version", ""), descriptor["uri"], descriptor.get("digest", {}), about.get("arch", "")
    )
