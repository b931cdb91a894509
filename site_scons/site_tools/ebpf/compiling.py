"""What the builders that run clang have in common: its arguments, what they depend on, which files they know."""

import contextlib
import json
import os
from pathlib import Path

import SCons.Node.FS
from ebpfbuild.compile.object import CompileArgs
from ebpfbuild.errors import CompileError

from .fetching import fetch_options
from .session import dependencies
from .stop import StopError


def compile_args(env, source, arch, output, header, include_dirs, cflags):
    """The core's CompileArgs for one source, with the vmlinux.h of that path."""
    session, libbpf = env["EBPF"], env.LibbpfHeaders()
    return CompileArgs(
        clang=session.compiler.argv,
        arch=arch,
        source=source.path,
        output=output,
        header_dir=os.path.dirname(header),
        libbpf_dir=os.path.join(os.path.dirname(libbpf.path), "include"),
        include_dirs=tuple(_include_dir(env, folder) for folder in [*env["EBPF_CPPPATH"], *include_dirs]),
        cpu=session.toolchain.cpu,
        cflags=(*session.toolchain.cflags, *session.cflags(env["EBPF_CFLAGS"], "EBPF_CFLAGS"), *session.cflags(cflags, "cflags")),
    )


def source_node(env, source):
    """The node of a source, in a variant_dir that of the original: clang reads the project as it stands, not a copy."""
    session, node = env["EBPF"], env.File(source)
    node = node if node.has_builder() else node.srcnode()
    path = session.place(node, "source")
    session.stray(path, env)
    if path.startswith(("-", "@")):
        raise StopError(f"{path}: clang takes a path that begins with {path[0]} for an option or a file of options; rename it")
    if not node.has_builder():
        session.require_file(path)
    return node if node.path == path else env.fs.File(f"#{path}")


def _include_dir(env, folder):
    session = env["EBPF"]
    path = session.place(env.Dir(folder).srcnode(), "include_dirs")
    session.stray(path, env)
    return path


def depends_nodes(env, depends):
    """The nodes of files that a compile reads and that can't be seen in its sources."""
    session, nodes = env["EBPF"], dependencies(env, depends)
    for node in nodes:
        if isinstance(node, SCons.Node.FS.Base):
            session.stray(session.place(node, "depends"), env)
    return nodes


def depends_paths(nodes):
    """The paths of those that are files, in a variant_dir those of the originals."""
    files = [node if node.has_builder() else node.srcnode() for node in nodes if isinstance(node, SCons.Node.FS.File)]
    return tuple(file.path for file in files)


def inputs_of(env, entry, args, *parts):
    """The Value of a step that runs clang: its code, the compiler's fingerprint, the flags.

    What names the target names (a program, the place of its own header) is no part of it: so all programs share a node.
    """
    session = env["EBPF"]
    return session.value(env, entry, session.compiler.fingerprint, session.flags(args), *parts)


def known_paths(env, target):
    """The paths of the files that the graph knows a step's compile to read."""
    session = env["EBPF"]
    libbpf = os.path.dirname(env.LibbpfHeaders().path)
    files = [child for child in target.all_children() if isinstance(child, SCons.Node.FS.File)]
    known = {node.path for file in files for node in (file, file.srcnode())}
    return known | {os.path.join(libbpf, "include", "bpf", name) for name in session.toolchain.libbpf.files}


def libbpf_read(target, env):
    """libbpf's headers, as Watch takes them: the graph has one manifest for them all."""
    manifest = env.LibbpfHeaders()
    folder = os.path.join(os.path.dirname(manifest.abspath), "include", "bpf")
    return {os.path.join(folder, name): None for name in env["EBPF"].toolchain.libbpf.files}


def index_cache(env):
    """The run's one cache of header indexes."""
    from ebpfbuild.minimize.index_cache import IndexCache

    session = env["EBPF"]
    if session.indexes is None:
        made_by = session.step_code("minimize/index.py")
        session.indexes = IndexCache(fetch_options(env).cache, session.ledger.fact, made_by)
    return session.indexes


def kernel_of(header):
    """The kernel that a VmlinuxHeader node's bytes were made from, by the record beside it."""
    return json.loads(Path(header.abspath + ".json").read_text())["kernel"]


@contextlib.contextmanager
def explaining(env, full, compiles):
    """Where a compile error is raised with what the full header, a node, and libbpf's know about it, and what to do next."""
    try:
        yield
    except CompileError as error:
        from ebpfbuild.minimize.index_cache import explained

        index = index_cache(env).get(Path(full.abspath), env["EBPF"].ledger.digest(full.abspath))
        raise explained(error, index, kernel_of(full), compiles[0].arch.name, _library(env, compiles)) from None


def _library(env, compiles):
    """libbpf's headers, as the sources of compiles see them."""
    from ebpfbuild.minimize.libbpf_headers import library

    session = env["EBPF"]
    folder = Path(session.root, compiles[0].libbpf_dir, "bpf")
    headers = {file.name: file.read_text() for file in sorted(folder.glob("*.h"))}
    files = {file for args in compiles for file in (args.source, *session.headers(args.source, args.include_dirs, (), env))}
    return library(headers, (Path(session.root, file).read_text(errors="replace") for file in sorted(files)))
