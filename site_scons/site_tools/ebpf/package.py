"""BpfPackage(name): the wheel of one program or several, with the loader and an app; and a tar without Python."""

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import SCons.Node.FS
import SCons.Script

from ebpfbuild.arch import arch_named
from ebpfbuild.errors import PackageError
from ebpfbuild.files import read_regular, write_file
from ebpfbuild.package.folder import leads_to
from ebpfbuild.package.names import tar_name, wheel_name
from ebpfbuild.package.programs import programs_of
from ebpfbuild.skeleton.names import package_name

from .arguments import folder_of, single, string
from .bundled import bundle_inputs, bundled_library, glibc_of, packed_bundle
from .command_targets import add_to_alias, register_wheel
from .errors import StopError, user_error
from .kernel_btf import btf_files, kernel_btfs, packed_btfs
from .linked import has_uapi, linker_pin
from .papers import paper_facts, paper_inputs, papers_beside, papers_intact, write_papers
from .project_files import file_nodes, objects_of
from .proof import proofs_wanted
from .run import PYTHON, refuse
from .signatures import signatures
from .step import builder, output_path, step_args
from .variants import both, in_variant, original

LOADER = Path(__file__).resolve().parents[3] / "loader" / "bpfloader"
LICENSES = {"bpfloader/LICENSE": str(LOADER.with_name("LICENSE"))}  # the loader's goes with it


class Folder(NamedTuple):
    """A package's folder for PYTHONPATH: its path, copies and links by place, the files whose content is watched.

    Objects are copies: a build that makes one anew and not the wheel, such as `prove`, would part it from its skeleton.
    """

    path: str
    copies: dict[str, str]
    links: dict[str, str]
    watched: list[str]


def bpf_package(
    env, name, version, objects, skeletons, app=None, summary="", license="", readme=None, c_skeletons=(),
    kernel_btf=(), bundle_libbpf=False,
):  # fmt: skip
    """Returns the nodes of a package's wheel and tar in build/dist.

    The wheel is <name>-<version>-py3-none-any.whl, or for one arch -linux_<arch>.whl.

    objects      of one program or several, of all arches, in folders named after their arch
    skeletons    BpfSkeleton's nodes for just these objects, one pair for each program
    c_skeletons  BpfCSkeleton's nodes: for the tar
    app          a folder with the program's Python, its __init__.py and __main__.py among them
    license      the package's, as SPDX names it; readme is a file that indexes show, .md, .rst or .txt
    kernel_btf   the kernels of toolchain.toml, or "all", of which the package gets the minimal BTF
    bundle_libbpf  True puts a libbpf.so.1 for each arch into the wheel, which is then -manylinux_<glibc>_<arch>.whl
    """
    name, version, summary, license = (string(env, each) for each in (name, version, summary, license))
    objects, skeletons = objects_of(env, objects), file_nodes(env, skeletons, "skeletons")
    c_skeletons, env = _headers(env, c_skeletons), in_variant(env, objects)
    arches = sorted({user_error(arch_named, node.dir.name, node.path) for node in objects})
    programs = user_error(programs_of, [node.abspath for node in objects], [node.abspath for node in skeletons])
    bundle = {arch: bundled_library(env, arch) for arch in arches} if bundle_libbpf else {}
    targets = _targets(env, name, version, arches, {arch.name: glibc_of(env, arch) for arch in bundle})
    _notice_namesake(env, name)
    proofs, btfs = proofs_to_pack(env, objects), kernel_btfs(env, objects, kernel_btf)
    readme = [original(file) for file in file_nodes(env, readme, "readme")]
    about = {"name": name, "version": version, "summary": summary, "license": license}
    folder_of_app = _app_folder(env, app)
    app, made = _app(env, name, folder_of_app)
    python = {"loader": env["EBPF"].run.python_files(str(LOADER)), "app": {**app, **made}, "licenses": LICENSES}
    for file in [*(node.path for node in readme), *app.values()]:
        env["EBPF"].files.require_file(file)
    known = {**python, "app": app}.items()
    digests = {part: user_error(env["EBPF"].inputs.files, part, each) for part, each in known}
    folder = _folder(env, targets[0], name, arches, programs, python["app"], btfs, bundle)
    args = {**about, "readme": readme[0].abspath if readme else ""}
    own = [node for node in objects if node in env["EBPF"].compiled]
    compiled, told = [env["EBPF"].compiled[node] for node in own], paper_inputs(env, own, btfs)
    files = {"objects": objects, "skeletons": skeletons, "proofs": proofs, "btfs": btfs}
    packed = [*objects, *skeletons, *proofs, *(each.node for each in btfs)]
    headers = [each.full for each in compiled if each.full]
    # Two steps: a C skeleton that can't be made, for want of a bpftool, keeps nobody from the wheel; and the tar, which
    # holds no Python, is not made anew for an edit of some.
    facts = {"python": python, "folder": folder, "app_folder": folder_of_app, "made": made, "c_skeletons": []}
    sources = [*packed, *sum(bundle.values(), []), *readme]
    WHEEL(env, target=targets[0], source=sources, **step_args(args=args, bundle=bundle, **facts, **files))
    inputs = packing_inputs(env, compiled, **told, **about, **digests, **bundle_inputs(env, bundle))
    targets[0].add_dependency([inputs, *headers, *map(env.fs.File, made.values())])
    facts = step_args(args=args, python={}, c_skeletons=c_skeletons, bundle={}, **files)
    TAR(env, target=targets[1], source=[*packed, *c_skeletons], **facts)
    inputs = packing_inputs(env, compiled, **told, name=name, version=version, license=license)
    targets[1].add_dependency([inputs, *headers])
    add_to_alias(env, name, targets)
    add_to_alias(env, "programs", targets)
    register_wheel(env, targets[0])
    _declare_papers(env, targets)
    return targets


def _declare_papers(env, targets):
    """Has wheel and tar made anew where their papers aren't intact, or are to be signed."""
    for target in targets:
        if not papers_intact(env["EBPF"], target):
            env["EBPF"].repair([target], stale=True)
        if env["EBPF_SIGN"]:
            env.AlwaysBuild(target)
        if SCons.Script.GetOption("clean"):
            papers = papers_beside(target)
            beside = [*papers, *signatures(env["EBPF"], target, papers)]
            env.Clean(target, [f"#{os.path.relpath(path, env['EBPF'].root)}" for path in beside])


def _headers(env, c_skeletons):
    """Returns the nodes of the C skeletons. Raises StopError for one that is none: the tar would hold anything."""
    nodes = file_nodes(env, c_skeletons, "c_skeletons")
    for node in nodes:
        if not node.name.endswith(".h"):
            raise StopError(f"c_skeletons: {node.path} is no header; hand over what BpfCSkeleton returned")
    return nodes


def _targets(env, name, version, arches, glibc):
    """Returns the nodes of the wheel and the tar. Raises StopError for a name or version that no installer takes."""
    user_error(package_name, name)
    files = user_error(wheel_name, name, version, arches, glibc), user_error(tar_name, name, version, arches)
    targets = [env.fs.File(output_path(env, "dist", file)) for file in files]
    env["EBPF"].repair(targets)
    return targets


def _notice_namesake(env, name):
    """Prints a notice of a script that imports the package and is called as it is.

    It may lie beside the SConstruct or this SConscript. `import` looks in the script's own folder first, finds the
    script, and Python speaks of a circular import.
    """
    for folder in {env["EBPF"].root, env.Dir(".").srcnode().abspath}:
        path = os.path.join(folder, f"{name}.py")
        if os.path.isfile(path) and _imports(path, name):
            what = f"imports {name} and finds itself, which Python calls a circular import"
            place = os.path.relpath(path, env["EBPF"].root)
            env["EBPF"].run.notice_once(f"{place} {what}; rename it, {name}_tool.py for example")


def _imports(path, name):
    """Returns True if a file of Python imports the module `name`; no for one that can't be read."""
    with contextlib.suppress(OSError):
        return re.search(rf"^\s*(from|import)\s+{name}\b".encode(), read_regular(path, 1 << 20), re.MULTILINE)
    return None


def _folder(env, wheel, name, arches, programs, app, btfs, bundle):
    """Returns the package's folder for PYTHONPATH.

    Where it isn't as the wheel's step left it, the wheel is made anew. The wheel's step makes the folder: as a node
    with files, it would make a null build dearer. A build of another version, for example, leaves another folder.
    """
    session = env["EBPF"]
    place = [arches[0].name] if len(arches) == 1 else []  # as a skeleton: beside the objects of one arch
    path = os.path.join(session.root, output_path(env, *place, "python", name).removeprefix("#"))
    if session.shared.setdefault(path, wheel) is not wheel:
        fix = "give one of the packages another name"
        raise StopError(f"BpfPackage: {name} is packed twice for the same arches; {fix}")
    copies = {f"{arch}/{each.file}": at for each in programs for arch, at in each.objects.items()}
    copies |= {f"{arch.name}/{nodes[0].name}": nodes[0].abspath for arch, nodes in bundle.items()}
    generated = [*_generated(programs, app), *(["bundled_libbpf.py"] if bundle else [])]
    watched = [os.path.join(path, place) for place in [*generated, *copies]]
    folder = Folder(path, copies, {**app, "bpfloader": str(LOADER)}, watched)
    intact = all(session.ledger.intact(each, by=wheel.path) for each in folder.watched)
    if btfs:
        intact = intact and all(session.ledger.intact(each, by=wheel.path) for each in packed_btfs(path))
    if not (intact and all(leads_to(os.path.join(path, place), link) for place, link in folder.links.items())):
        session.repair([wheel], stale=True)
    if SCons.Script.GetOption("clean"):
        env.Clean(wheel, path)
    return folder


def _generated(programs, app):
    """Returns the places of the files that a wheel's step writes itself into the folder."""
    skeletons = [os.path.basename(file) for each in programs for file in each.skeleton]
    return ["manifest.json", *skeletons, *(name for name in ("__init__.py", "py.typed") if name not in app)]


def proofs_to_pack(env, objects, builder_name="BpfPackage"):
    """Returns the proofs to pack. A release refuses an object that has none and wasn't made with the full header."""
    compiled = env["EBPF"].compiled
    unknown = [node for node in objects if node not in compiled]
    if unknown and env["EBPF_RELEASE"]:
        fix = "make it with BpfObject, which pins and proves what it is made of"
        for node in unknown:
            what = f"{builder_name}: RELEASE=1 packs no object that isn't proven, and {node.path} can't be"
            refuse(env["EBPF"].run, f"{what}; {fix}")
    return env.BpfProof([node for node in objects if node in compiled]) if proofs_wanted(env) else []


def _app_folder(env, app):
    """Returns the node of the app's folder, or None."""
    app = single(env, app, "app")
    return folder_of(env, app, "app") if app else None


def _app(env, name, folder):
    """Returns the app's files, and those that a builder makes: paths on disk by place in the package.

    Raises StopError for a folder that isn't there.
    """
    if folder is None:
        return {}, {}
    made = _made_python(folder)
    source = folder.srcnode().abspath
    if not made and not os.path.isdir(source):
        raise StopError(f"app: there is no folder {folder.srcnode().path}; name the one that holds {name}'s Python")
    files = env["EBPF"].run.python_files(source)
    return {place: path for place, path in files.items() if place not in made}, made


def _made_python(folder):
    """Returns the Python that builders make in a folder or, for a variant_dir's, among the sources: paths by place."""
    found = {}
    for root in reversed(both(folder)):
        for node in _made_below(root):
            if node.name.endswith(PYTHON):
                found[os.path.relpath(node.abspath, root.abspath)] = node.abspath
    return dict(sorted(found.items()))


def _made_below(folder):
    """Yields the nodes of the files that builders make below a folder."""
    for name, node in folder.entries.items():
        if name in (os.curdir, os.pardir):
            continue
        if isinstance(node, SCons.Node.FS.Dir):
            yield from _made_below(node)
        elif node.has_builder():
            yield node


def packing_inputs(env, compiled, entry="package/pack.py", **about):
    """Returns the Value of a step's inputs, `about` the package among them; `entry` is the core's module that it runs.

    The manifest names the inputs of the objects that are `compiled` here.
    """
    session = env["EBPF"]
    clang = f"{session.compiler.version} {session.compiler.packed}" if compiled else None
    pinned = {what: " ".join(facts.values()) for each in compiled for what, facts in _pinned(session, each).items()}
    return session.inputs.node(env, entry, clang=clang, **pinned, **about)


def _pinned(session, compiled):
    """Returns the pinned inputs of an object beside its vmlinux.h and the compiler, as the manifest has them.

    `compiled` is its entry in Session.compiled.
    """
    libbpf, uapi, linker = session.toolchain.libbpf, session.uapi, linker_pin(compiled)
    found = {"libbpf": {"sha256": libbpf.signature, "version": libbpf.version}}
    if has_uapi(session, compiled):
        found["uapi"] = {"kernel": uapi.kernel, "sha256": uapi.signature}
    if linker:
        found["linker"] = {"sha256": linker.signature, "version": linker.version}
    return found


def _pack_args(env):
    """Returns the core's PackArgs of a step."""
    from dataclasses import replace

    from ebpfbuild.package.pack import PackArgs

    step = env["EBPF_STEP_ARGS"]
    provenance = {node.abspath: made for node, made in provenance_by_object(env).items()}
    files = {key: tuple(node.abspath for node in getattr(step, key)) for key in ("objects", "skeletons", "c_skeletons")}
    facts, bundle, btfs = paper_facts(env, made_here(env), step.btfs), None, btf_files(step.btfs)
    if step.bundle:
        facts = replace(facts, declared=facts.declared._replace(bundle=env["EBPF"].bundle))
        bundle = packed_bundle(env, step.bundle)
    made = {"provenance": provenance, "btfs": btfs, "facts": facts, "bundle": bundle}
    return PackArgs(**step.args, **step.python, **files, **made)


def provenance_by_object(env):
    """Returns the core's Provenance of each of a step's objects that this build makes, by its node."""
    from ebpfbuild.package.pack import provenance_of

    session, step, found = env["EBPF"], env["EBPF_STEP_ARGS"], {}
    proofs = {node: proof.abspath for node, proof in session.proofs.items() if proof in step.proofs}
    compiler = {"fingerprint": session.compiler.packed, "version": session.compiler.version}
    for node in made_here(env):
        compiled = session.compiled[node]
        record = compiled.full.abspath + ".json" if compiled.full else ""
        found[node] = provenance_of(record, compiler, _pinned(session, compiled), proofs.get(node, ""))
    return found


def made_here(env):
    """Returns the nodes of a step's objects that this build makes: of others it knows no inputs."""
    return [node for node in env["EBPF_STEP_ARGS"].objects if node in env["EBPF"].compiled]


def _wheel(target, source, env):
    from ebpfbuild.package.folder import unpack
    from ebpfbuild.package.pack import wheel

    session, step = env["EBPF"], env["EBPF_STEP_ARGS"]
    folder = step.folder
    late = _made_python(step.app_folder).keys() - step.made.keys() if step.app_folder else ()
    if late:
        what = f"{min(late)} of the app is made by a builder that is declared behind the package"
        raise PackageError(what, where=target[0].path, fix="declare it before the package")
    packed = wheel(_pack_args(env))
    linked = folder.links.keys()
    own = {
        place: text
        for place, text in packed.files.items()
        if place not in linked and not place.startswith("bpfloader/")
    }
    objects = {place: Path(path).read_bytes() for place, path in folder.copies.items()}
    unpack(Path(folder.path), {**own, **objects}, folder.links)
    for path in [*folder.watched, *packed_btfs(folder.path)]:
        session.ledger.built(path, target[0].path)
    _put(env, target[0], packed)


def _tar(target, source, env):
    from ebpfbuild.package.pack import tar

    _put(env, target[0], tar(_pack_args(env)))


def _put(env, target, packed):
    """Writes a wheel or a tar, and its papers beside it."""
    write_file(Path(target.abspath), packed.data)
    write_papers(env, target, packed, made_here(env))


def _python_read(target, env):
    """Returns the Python that a package holds as Watch takes it: no node stands for a file of it."""
    session, step = env["EBPF"], env["EBPF_STEP_ARGS"]
    files = {file for files in step.python.values() for file in files.values()} - {*step.made.values()}
    return {file: session.digest(file) for file in files}


WHEEL = builder(_wheel, "WHEEL    $TARGET", _python_read, "packed")
TAR = builder(_tar, "TAR      $TARGET", None, "packed")
METHODS = {"BpfPackage": bpf_package}
