"""MinimizedVmlinux(name, sources): a vmlinux.h for each arch that holds only what the sources use."""

import itertools
import os
from pathlib import Path
from typing import NamedTuple

import SCons.Scanner
from ebpfbuild.arch import arch_named
from ebpfbuild.compile.object import CompileArgs, with_header
from ebpfbuild.files import write_file

from .asked import header_declared
from .compiling import (
    compile_args,
    depends_nodes,
    depends_paths,
    explaining,
    index_cache,
    inputs_of,
    kernel_of,
    known_paths,
    libbpf_read,
    source_node,
)
from .fetching import reporter
from .session import user_error
from .step import build_path, builder, told
from .stop import StopError


class Minimizing(NamedTuple):
    """How a minimized header is made: of which compiles, under which name, in which mode, from which node's full header."""

    compiles: tuple[CompileArgs, ...]
    name: str
    mode: str
    full: object


def minimized_vmlinux(env, name, sources, arch=None, mode=None, include_dirs=(), cflags=(), depends=()):
    """The header nodes by arch name, build/<arch>/minimized/<name>/vmlinux.h, for the arches asked for or for `arch` alone.

    With several sources it is one header for them all: hand it to each BpfObject as `header`.
    """
    arches = [user_error(arch_named, each) for each in env.Flatten([arch])] if arch else env["EBPF_ARCHES"]
    sources = [source_node(env, source) for source in env.Flatten(sources)]
    depends = depends_nodes(env, depends)
    if not sources:
        raise StopError(f"MinimizedVmlinux: {name} has no sources; name the programs that include the header")
    return {each.name: _declare(env, name, sources, each, mode or "exact", include_dirs, cflags, depends) for each in arches}


def header_path(env, arch, name):
    """The path of a minimized header, from the project's root."""
    return build_path(env, arch.name, "minimized", name, "vmlinux.h").removeprefix("#")


def _declare(env, name, sources, arch, mode, include_dirs, cflags, depends):
    session, full = env["EBPF"], env.VmlinuxHeader(arch.name)
    node = env.File("#" + header_path(env, arch, name))
    compiles = tuple(compile_args(env, source, arch, node.path, node.path, include_dirs, cflags) for source in sources)
    session.repair([node])
    session.minimized[node] = Minimizing(compiles, name, mode, full)
    MINIMIZED(env, target=node, source=sources, **told(include_dirs=compiles[0].include_dirs, depends=depends_paths(depends)))
    env.Depends(node, [inputs_of(env, "minimize/program.py", compiles[0], mode), full, env.LibbpfHeaders(), *depends])
    header_declared(env, node, session.minimized[node])
    return node


def scan(node, env, path):
    """The nodes of the project's headers that a source includes."""
    step = env["EBPF_TOLD"]
    return [_file(env, header) for header in env["EBPF"].headers(node.path, step.include_dirs, step.depends, env)]


def _file(env, path):
    return env.fs.File(path if os.path.isabs(path) else f"#{path}")


def minimize_args(env, step):
    """The core's MinimizeArgs of a Minimizing, whose full header has been fetched."""
    from ebpfbuild.minimize.program import MinimizeArgs

    digest = env["EBPF"].ledger.digest(step.full.abspath)
    compiles = tuple(with_header(args, step.full.path) for args in step.compiles)
    return MinimizeArgs(compiles, step.name, step.mode, digest, kernel_of(step.full))


def write_header(env, step, path, known):
    """Makes the header of a Minimizing at a path from the root. Raises what minimize_programs does."""
    from ebpfbuild.minimize.program import minimize_programs

    session, place = env["EBPF"], Path(env["EBPF"].root, path)
    text = minimize_programs(minimize_args(env, step), index_cache(env), known, session.root, reporter(env))
    write_file(place, text.encode())
    session.ledger.built(str(place))


def _minimize(target, source, env):
    step = env["EBPF"].minimized[target[0]]
    with explaining(env, step.full, step.compiles):
        write_header(env, step, target[0].path, known_paths(env, target[0]))


def _anew(env, folder, target, source):
    """A path like no other: SCons keeps what a source includes by it, and that changes once a header is made or fetched."""
    return (next(_SCANS),)


_SCANS = itertools.count()
SCANNER = SCons.Scanner.Scanner(scan, "ebpf", path_function=_anew)
MINIMIZED = builder(_minimize, "MINIMIZE $TARGET", libbpf_read, "preprocessed", source_scanner=SCANNER)
METHODS = {"MinimizedVmlinux": minimized_vmlinux}
