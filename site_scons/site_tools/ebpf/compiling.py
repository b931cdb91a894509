"""Serves the builders that run clang: arguments, dependencies, known files, explained errors."""

import contextlib
import json
import os
from functools import cache
from pathlib import Path

import SCons.Node.FS

from ebpfbuild.compile.args import CompileArgs
from ebpfbuild.errors import CompileError
from ebpfbuild.uapi.tree import search_dirs

from .arguments import file_of, from_root
from .compile_flags import all_cflags, include_paths
from .errors import StopError
from .libbpf import libbpf_headers
from .project_files import dependency_nodes
from .uapi import uapi_headers
from .variants import original


def compile_args(env, source, arch, output, header, include_dirs, cflags, uapi):
    """Returns the core's CompileArgs for one source and the vmlinux.h at the path `header`, which may be empty.

    `uapi` tells if it has UAPI headers in sight.
    """
    session, libbpf = env["EBPF"], libbpf_headers(env)
    folders = include_paths(env, include_dirs)
    return CompileArgs(
        clang=session.compiler.argv,
        arch=arch,
        source=source.path,
        output=output,
        header_dir=os.path.dirname(header),
        libbpf_dir=os.path.join(os.path.dirname(libbpf.path), "include"),
        include_dirs=folders,
        cpu=session.toolchain.cpu,
        cflags=all_cflags(env, cflags),
        sandbox=session.run.runner,
        uapi_dirs=search_dirs(os.path.dirname(uapi_headers(env).path), arch.name) if uapi else (),
        names=session.files.names(source, folders),
    )


def header_kinds(env, source, include_dirs, uapi):
    """Returns the core's HeaderKinds of a source node; `uapi`, unless None, overrules what its directives tell."""
    if uapi not in (None, True, False):
        raise StopError(
            f"uapi: {uapi!r} is neither True nor False; leave it out to have the headers that {source.path} names"
        )
    found = env["EBPF"].includes.header_kinds(source.path, include_paths(env, include_dirs))
    return found if uapi is None else found._replace(uapi=uapi)


def source_node(env, source):
    """Returns a source's node, in a variant_dir that of the original.

    clang reads the project as it stands, not a copy.
    """
    session, node = env["EBPF"], file_of(env, source, "source")
    if not node.name.endswith(".c"):
        raise StopError(f"source: {node.path} is no C file; name one that ends in .c, or an object that BpfObject made")
    node = original(node)
    path = session.files.path(node, "source")
    session.files.check_symlinks(path, env["EBPF_RELEASE"])
    if path.startswith(("-", "@")):
        raise StopError(
            f"{path}: clang takes a path that begins with {path[0]} for an option or a file of options; rename it"
        )
    if not node.has_builder():
        session.files.require_file(path)
    return node if node.path == path else env.fs.File(from_root(path))


def depends_nodes(env, depends):
    """Returns the nodes of files that a compile reads and that can't be seen in its sources."""
    session, nodes = env["EBPF"], dependency_nodes(env, depends)
    for node in nodes:
        if isinstance(node, SCons.Node.FS.Base):
            session.files.check_symlinks(session.files.path(node, "depends"), env["EBPF_RELEASE"])
    return nodes


def depends_paths(nodes):
    """Returns the paths of those nodes that are files, in a variant_dir those of the originals."""
    return tuple(original(node).path for node in nodes if isinstance(node, SCons.Node.FS.File))


def compile_inputs(env, entry, args, **more):
    """Returns the Value of a step that runs clang: its code, the compiler, the flags and `more`.

    What differs between targets (a program's name, the place of its own header) is no part of it: so all programs share
    a node.
    """
    return env["EBPF"].inputs.node(env, entry, **compile_facts(env, args, **more))


def compile_facts(env, args, **more):
    """Returns the inputs of a step that runs clang, by name, beside its code."""
    session = env["EBPF"]
    clang = f"{session.compiler.version} {session.compiler.fingerprint}"
    return {"clang": clang, "flag": session.inputs.flags(args), **more}


def object_entry(args, mode):
    """Returns the core's module in which a compile begins, and what else shapes it; `mode` is that of an own header."""
    return ("minimize/program.py", {"mode": mode}) if mode else ("compile/object.py", {"vmlinux.h of": args.header_dir})


def known_paths(env, target):
    """Returns the paths of the files that the graph knows a step's compile to read."""
    session = env["EBPF"]
    libbpf = os.path.dirname(libbpf_headers(env).path)
    files = [child for child in target.all_children() if isinstance(child, SCons.Node.FS.File)]
    known = {node.path for file in files for node in (file, file.srcnode())}
    if any(file is session.shared.get("uapi") for file in files):
        known |= session.includes.uapi_files.keys()
    return known | {os.path.join(libbpf, "include", "bpf", name) for name in session.toolchain.libbpf.files}


def libbpf_read(target, env):
    """Returns libbpf's headers as Watch takes them: the graph has one manifest for them all."""
    manifest = libbpf_headers(env)
    folder = os.path.join(os.path.dirname(manifest.abspath), "include", "bpf")
    return {os.path.join(folder, name): None for name in env["EBPF"].toolchain.libbpf.files}


def pinned_read(target, env):
    """Returns libbpf's headers, and those UAPI headers that a step's sources reach, as Watch takes them."""
    return libbpf_read(target, env) | uapi_read(target[0], env["EBPF_STEP_ARGS"], env)


def uapi_read(node, step, env):
    """Returns the UAPI headers that the sources of a node reach, as Watch takes them; `step` are its arguments."""
    session, read = env["EBPF"], {}
    for source in node.sources if step.uapi_dirs else ():
        for path in session.includes.headers(source.path, step.include_dirs, step.depends, env, step.uapi_dirs).pinned:
            if path in session.includes.uapi_files:
                read[os.path.join(session.root, path)] = session.includes.uapi_files[path]
    return read


def kernel_of(header):
    """Returns the kernel version that a VmlinuxHeader node's bytes were made from, by the record beside it."""
    return _recorded_kernel(header.abspath + ".json", header.get_csig())


@cache
def _recorded_kernel(path, _header):
    return json.loads(Path(path).read_text())["kernel"]


@contextlib.contextmanager
def explaining(env, full, compiles):
    """Adds to a CompileError what the full header and libbpf's headers know about it, and what to do next.

    `full` is a node, or None for a program without a vmlinux.h.
    """
    try:
        yield
    except CompileError as error:
        from ebpfbuild.minimize.index_cache import explained

        libbpf = _libbpf_names(env, compiles)
        if full is None:
            raise explained(error, None, "", compiles[0].arch.name, libbpf) from None
        index = env["EBPF"].indexes.get(Path(full.abspath), env["EBPF"].ledger.digest(full.abspath))
        arch = compiles[0].arch.name
        raise explained(error, index, kernel_of(full), arch, libbpf, _alternate_with(env, arch)) from None


def _alternate_with(env, arch):
    """Returns the function that names an alternate of an arch's header by a type that it has."""
    from ebpfbuild.fetch.alternates import alternate_with
    from ebpfbuild.fetch.store import cache_folder

    pin = env["EBPF"].toolchain.header(arch)
    return lambda name: alternate_with(name, pin, cache_folder(os.environ))


def _libbpf_names(env, compiles):
    """Returns the names that libbpf's headers declare, and those that the sources of compiles don't see."""
    from ebpfbuild.minimize.libbpf_headers import libbpf_names

    session = env["EBPF"]
    folder = Path(session.root, compiles[0].libbpf_dir, "bpf")
    headers = {file.name: file.read_text() for file in sorted(folder.glob("*.h"))}
    files = {
        file
        for args in compiles
        for file in (args.source, *session.includes.headers(args.source, args.include_dirs, (), env).own)
    }
    return libbpf_names(headers, (Path(session.root, file).read_text(errors="replace") for file in sorted(files)))
