"""Gives a package's steps what its papers say, writes those beside a wheel or tar, and has them signed (SIGN=)."""

import json
import os
from pathlib import Path

from ebpfbuild.files import write_file
from ebpfbuild.rebuild.step_code import CHECKOUT

from .linked import is_linked
from .proof import parts_of
from .signatures import remove_stale, sign_statement

LOCK = str(CHECKOUT / "requirements.lock")
LOADER_PROJECT = str(CHECKOUT / "loader" / "pyproject.toml")
# The same as BESIDE in the core's release/papers.py, which a null build doesn't import.
ENDINGS = (".intoto.json", ".cdx.json", ".SHA256SUMS")


def paper_inputs(env, nodes, btfs=()):
    """Returns what a package's papers say of its objects, as inputs of a step: a URL that changes is told as well.

    It is put together once for all packages whose objects need the same. `btfs` are the package's ObjectBtfs.
    """
    session, (arches, uapi, linked) = env["EBPF"], _needs(env["EBPF"], nodes)
    key = tuple(arches), uapi, linked, bool(nodes), env["EBPF_MINIMIZE"]
    if key not in session.papers:
        session.papers[key] = _told_of_pins(env, nodes, arches, uapi, linked)
    told = {f"papers of {pin.file.key}": _told(pin.types, pin.uname, [pin.types.source]) for pin in _kernels(btfs)}
    return session.papers[key] | told


def _kernels(btfs):
    """Returns the pins of the kernels whose BTF a package holds, each once."""
    return tuple(dict.fromkeys(each.pin for each in btfs))


def _told_of_pins(env, nodes, arches, uapi, linked):
    session = env["EBPF"]
    toolchain, found = session.toolchain, {"papers of MINIMIZE": env["EBPF_MINIMIZE"]}
    found["papers of the build's code"] = session.inputs.making_code
    for path in (LOCK, LOADER_PROJECT):
        found[os.path.basename(path)] = session.digest(path) if os.path.exists(path) else None
    for pin in map(toolchain.header, arches):
        found[f"papers of {pin.key}"] = _told(pin, pin.kernel, [each.source for each in (pin, *pin.alternates)])
    if nodes:
        found["papers of libbpf"] = _told(toolchain.libbpf, toolchain.libbpf.version, toolchain.libbpf.sources)
        clang = session.compiler.fingerprint, toolchain.compiler.path or ""
        found["papers of clang"] = [toolchain.cpu, *toolchain.cflags, *map(str, clang)]
    if uapi:
        found["papers of uapi"] = _told(session.uapi, f"{session.uapi.kernel} {session.uapi.path or ''}", ())
    if linked:
        libraries = [tree for trees in session.linker.libraries.values() for tree in trees]
        trees = [*libraries, *session.linker.c_library.values()]
        found["papers of the linker"] = [_told(tree, tree.version, tree.sources) for tree in trees]
    return found


def _told(pin, version, sources):
    """Returns what papers say of a pin, as text."""
    return " ".join([version, pin.signature, *(source.shown for source in sources)])


def _needs(session, nodes):
    """Returns the arches whose vmlinux.h objects are made with, if any has UAPI headers in sight, if any is linked."""
    compiled = [session.compiled[node] for node in _with_parts(session, nodes)]
    headers = sorted({each.arch.name for each in compiled if each.full is not None})
    return headers, any(getattr(each, "uapi_dirs", ()) for each in compiled), any(map(is_linked, compiled))


def _with_parts(session, nodes):
    for node in nodes:
        yield node
        yield from _with_parts(session, parts_of(session, node))


def paper_facts(env, nodes, btfs=()):
    """Returns the core's Facts about a package; `nodes` are those of its objects that this build makes.

    `btfs` are its ObjectBtfs.
    """
    import tomllib

    from ebpfbuild.release.materials import Declared
    from ebpfbuild.release.papers import Facts

    session, version = env["EBPF"], ""
    if os.path.exists(LOADER_PROJECT):
        version = tomllib.loads(Path(LOADER_PROJECT).read_text(encoding="utf-8"))["project"]["version"]
    lock = LOCK if os.path.exists(LOCK) else ""
    if not nodes:
        return Facts(Declared(kernels=_kernels(btfs)), lock, loader_version=version)
    toolchain, (headers, uapi, linker) = session.toolchain, _needs(session, nodes)
    declared = Declared(
        compiler=toolchain.compiler,
        headers={arch: toolchain.header(arch) for arch in headers},
        libbpf=toolchain.libbpf,
        uapi=session.uapi if uapi else None,
        linker=session.linker if linker else None,
        cpu=toolchain.cpu,
        cflags=toolchain.cflags,
        kernels=_kernels(btfs),
    )
    return Facts(declared, lock, env["EBPF_MINIMIZE"], version)


def papers_beside(target):
    """Returns the paths of the papers beside a wheel or a tar."""
    return [f"{target.abspath}{ending}" for ending in ENDINGS]


def papers_intact(session, target):
    """Returns True if the papers beside a wheel or a tar are as its step left them."""
    return all(session.ledger.intact(path, by=target.path) for path in papers_beside(target))


def write_papers(env, target, packed, nodes):
    """Writes the papers beside a wheel or a tar, whose bytes are in place, and has its statement signed."""
    session = env["EBPF"]
    made = packed.papers.beside(target.name, packed.data, observed(env, nodes))
    paths = papers_beside(target)
    statement = made[os.path.basename(paths[0])]
    remove_stale(env, target, paths, statement)
    for path in paths:
        write_file(path, made[os.path.basename(path)])
        session.ledger.built(path, target.path)
    if env["EBPF_SIGN"]:
        sign_statement(env, target, paths, statement)


def observed(env, nodes):
    """Returns the core's Observed of this build: nothing but inputs of the step that writes it, or of its objects."""
    from ebpfbuild.release.papers import Observed

    session, sources = env["EBPF"], {}
    for full in {session.compiled[node].full for node in _with_parts(session, nodes)} - {None}:
        record = json.loads(Path(f"{full.abspath}.json").read_text(encoding="utf-8"))
        # The record names the place of the build that fetched it; what is declared for these bytes may have moved.
        pin = session.toolchain.header(record["arch"])
        taken = next((each for each in (pin, *pin.alternates) if each.sha256 == record["sha256"]), pin)
        sources[record["arch"]] = taken.source.shown
    fingerprint = session.compiler.fingerprint if nodes else ""
    return Observed(fingerprint, sources, session.inputs.making_code)
