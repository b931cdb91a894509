"""Makes the bytes of a wheel and a tar from the files of a build, and their papers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..arch import BY_NAME
from ..bundle.licenses import with_bundled
from ..bundle.needs import check_needs
from ..release.materials import Declared
from ..release.papers import Facts, Papers
from .content import KernelBtf, PackageContent, PackedProgram, default_description, description, package
from .libraries import PackedLibrary
from .manifest import MANIFEST_NAME, Provenance
from .names import distribution_name
from .programs import ProgramFiles, programs_of
from .skeleton import PackedSkeleton
from .tar import build_tar
from .wheel import About, build_wheel


class BtfFile(NamedTuple):
    """The path of an object's minimal BTF, empty where the object needs none; else as KernelBtf."""

    name: str
    kernel: str
    source: str
    path: str


@dataclass(frozen=True)
class Bundle:
    """The libbpf that a wheel carries: the paths of its library by arch, its version, its licences as PackArgs' own.

    `glibc` is the oldest that each arch's library is to run with, which the wheel's name says.
    """

    libraries: Mapping[str, str]
    version: str
    licenses: Mapping[str, str]
    glibc: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class PackArgs:
    """A package: the paths of what it holds, in folders named after their arch where there is one for each arch.

    `app` and `loader` are paths by their place in the package, `licenses` by that among the wheel's licences;
    `provenance` says how an object was made, and `btfs` are its minimal BTFs, by its path; `facts` what the papers are
    to say; `bundle` is for a wheel alone.
    """

    name: str
    version: str
    objects: tuple[str, ...]
    skeletons: tuple[str, ...]
    loader: Mapping[str, str] = field(default_factory=dict)
    app: Mapping[str, str] = field(default_factory=dict)
    c_skeletons: tuple[str, ...] = ()
    summary: str = ""
    license: str = ""
    readme: str = ""
    licenses: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    btfs: Mapping[str, Sequence[BtfFile]] = field(default_factory=dict)
    facts: Facts = Facts(Declared())
    bundle: Bundle | None = None


class Packed(NamedTuple):
    """The bytes of a wheel or a tar, the files of the package in it, and its papers."""

    data: bytes
    files: Mapping[str, bytes]
    papers: Papers


def wheel(args: PackArgs) -> Packed:
    """Returns the wheel, with papers in it. Raises PackageError, PaperError, ElfError, BtfError, OSError."""
    content = _content(args)
    made = package(args.name, args.version, content, args.summary)
    programs = [each.skeleton.program for each in content.programs]
    text, markup = default_description(args.name, programs, args.summary, content.arches), "text/markdown"
    if args.readme:
        text, markup = description(Path(args.readme))
    licenses, license = _read(args.licenses), args.license
    if args.bundle:
        licenses, license = licenses | _read(args.bundle.licenses), with_bundled(license)
        for arch, library in content.libraries.items():
            check_needs(library.data, args.bundle.glibc[arch], args.bundle.libraries[arch])
    about = About(args.name, args.version, args.summary, license, text, markup, licenses)
    files = {f"{args.name}/{path}": data for path, data in made.wheel.items()}
    papers = Papers(made.wheel[MANIFEST_NAME], license, args.facts, content.loader)
    glibc = args.bundle.glibc if args.bundle else None
    data = build_wheel(about, files, [BY_NAME[arch] for arch in content.arches], papers.inside, glibc)
    return Packed(data, made.wheel, papers)


def tar(args: PackArgs) -> Packed:
    """Returns the tar, which needs neither app nor loader. Raises as `wheel` does."""
    made = package(args.name, args.version, _content(args), args.summary)
    data = build_tar(distribution_name(args.name, args.version), made.tar, made.links)
    return Packed(data, made.tar, Papers(made.tar[MANIFEST_NAME], args.license, args.facts, {}))


def _content(args: PackArgs) -> PackageContent:
    headers = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in map(Path, args.c_skeletons)}
    programs = [_program(each, args) for each in programs_of(args.objects, args.skeletons)]
    return PackageContent(programs, _read(args.app), _read(args.loader), headers, _libraries(args.bundle))


def _libraries(bundle: Bundle | None) -> dict[str, PackedLibrary]:
    if bundle is None:
        return {}
    return {arch: PackedLibrary(data, bundle.version) for arch, data in _read(bundle.libraries).items()}


def _program(files: ProgramFiles, args: PackArgs) -> PackedProgram:
    module, stub = map(Path, files.skeleton)
    skeleton = PackedSkeleton(module.name, module.read_text(encoding="utf-8"), stub.read_text(encoding="utf-8"))
    known = {arch: args.provenance[path] for arch, path in files.objects.items() if path in args.provenance}
    btfs = {arch: list(_kernel_btfs(args.btfs.get(path, ()))) for arch, path in files.objects.items()}
    return PackedProgram(files.file, _read(files.objects), skeleton, known, btfs)


def _kernel_btfs(files: Sequence[BtfFile]) -> Iterator[KernelBtf]:
    for each in files:
        data = Path(each.path).read_bytes()
        if data:
            yield KernelBtf(each.name, each.kernel, each.source, data)


def _read(paths: Mapping[str, str]) -> dict[str, bytes]:
    return {place: Path(path).read_bytes() for place, path in paths.items()}


def provenance_of(
    header_record: str, compiler: Mapping[str, str], pinned: Mapping[str, Mapping[str, str]], proof: str = ""
) -> Provenance:
    """Returns an object's provenance: by the record beside its full header, its other inputs, and its proof's verdict.

    `header_record` and `proof` are paths, empty for none; `pinned` holds what is known of libbpf, uapi and linker.
    Raises OSError, ValueError.
    """
    record = json.loads(Path(header_record).read_text(encoding="utf-8")) if header_record else None
    return Provenance(
        header={key: record[key] for key in ("alternate", "kernel", "sha256")} if record else None,
        compiler=compiler,
        proof=_proof_facts(json.loads(Path(proof).read_text(encoding="utf-8"))) if proof else None,
        **pinned,
    )


def _proof_facts(proof: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a manifest's part of a proof: the verdict, and why the full header was taken, where it was."""
    fallback = {"fallback": proof["fallback"]} if proof["fallback"] else {}
    return {key: proof[key] for key in ("differences", "equal", "mode", "types")} | fallback
