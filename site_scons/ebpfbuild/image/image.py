"""Makes the image of one program's objects: a manifest for each platform, their index, papers that refer to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..arch import BY_NAME
from ..errors import PackageError
from ..package.manifest import PackedObject, Provenance, manifest_json
from ..release.materials import Declared
from ..release.papers import SBOM_ENDING, STATEMENT_ENDING, Facts, Observed, Papers
from ..spec.object import ObjectSpec
from .layout import INDEX, NAMES, Blobs
from .manifests import GADGET_PLATFORMS, bpfman_manifest, gadget_manifest

BPFMAN, GADGET = KINDS = ("bpfman", "gadget")
PAPERS = {STATEMENT_ENDING: "application/vnd.in-toto+json", SBOM_ENDING: "application/vnd.cyclonedx+json"}


@dataclass(frozen=True)
class ImageArgs:
    """An image: the paths of its objects by arch, what it is called, and what its papers are to say.

    `file` is the objects' name, `metadata` the path of a gadget.yaml or nothing; `provenance` is by arch.
    """

    name: str
    version: str
    kind: str
    file: str
    objects: Mapping[str, str]
    metadata: str = ""
    summary: str = ""
    license: str = ""
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    facts: Facts = Facts(Declared())


def check_platforms(kind: str, arches: list[str]) -> None:
    """Raises PackageError for an arch that images of a kind have no platform for."""
    known = {name: BY_NAME[name].go for name in arches}
    if missing := [name for name, go in known.items() if not go]:
        raise PackageError(f"{missing[0]} is no platform of images", where="BpfImage", fix="leave its object out")
    if others := [name for name, go in known.items() if kind == GADGET and go not in GADGET_PLATFORMS]:
        what = f"inspektor-gadget runs on x86_64 and aarch64, not on {others[0]}"
        raise PackageError(what, where="BpfImage", fix="leave its object out")


def image(args: ImageArgs, observed: Observed) -> dict[str, bytes]:
    """Returns the files of an image's layout by their place in it. Raises PackageError, ElfError, BtfError, OSError."""
    objects = {arch: Path(path).read_bytes() for arch, path in sorted(args.objects.items())}
    check_platforms(args.kind, list(objects))
    metadata = Path(args.metadata).read_bytes() if args.metadata else b""
    blobs, about = Blobs(), _annotations(args)
    manifests = []
    for arch, data in objects.items():
        go = BY_NAME[arch].go
        if args.kind == GADGET:
            manifests.append(gadget_manifest(blobs, data, go, about, metadata))
        else:
            manifests.append(bpfman_manifest(blobs, args.file, data, go, about))
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": about}
    top = blobs.add_json(INDEX, index)
    referrers = []
    for name, paper in _papers(args, objects).beside(args.name, blobs.files[_place(top)], observed).items():
        kind = next((media for ending, media in PAPERS.items() if name.endswith(ending)), None)
        if kind:
            referrers.append(blobs.add_referrer(kind, paper, name, top))
    named = {**top, "annotations": {f"{NAMES}.ref.name": args.version}}
    return blobs.layout([named, *referrers])


def _place(descriptor: Mapping[str, str]) -> str:
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def _annotations(args: ImageArgs) -> dict[str, str]:
    """Returns what OCI calls predefined annotations; no time of creation, which would differ each time."""
    words = {"title": args.name, "version": args.version, "description": args.summary, "licenses": args.license}
    return {f"{NAMES}.{key}": value for key, value in words.items() if value}


def _papers(args: ImageArgs, objects: Mapping[str, bytes]) -> Papers:
    packed = {}
    for arch, data in objects.items():
        license = ObjectSpec.from_bytes(data, args.file).license or ""
        packed[arch] = PackedObject(f"{arch}/{args.file}", data, license, args.provenance.get(arch, Provenance()))
    return Papers(manifest_json(args.name, args.version, {args.file: packed}), args.license, args.facts, {})
