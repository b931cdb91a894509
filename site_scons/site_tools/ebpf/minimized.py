"""MinimizedVmlinux(name, sources): a vmlinux.h for each arch that holds only what the sources use."""

from pathlib import Path
from typing import NamedTuple

import SCons.Scanner

from ebpfbuild.compile.args import CompileArgs, with_header
from ebpfbuild.files import write_file
from ebpfbuild.header import MODES

from .arguments import arches, file_of, flat, from_root, string
from .by_arch import ByArch
from .cached_compile import cacheable_header
from .command_targets import register_header
from .compile_flags import check_foreign
from .compiling import (
    compile_args,
    compile_inputs,
    depends_nodes,
    depends_paths,
    explaining,
    header_kinds,
    kernel_of,
    known_paths,
    pinned_read,
    source_node,
)
from .errors import StopError
from .header import vmlinux_header
from .libbpf import libbpf_headers
from .step import builder, output_path, step_args
from .uapi import uapi_headers
from .variants import in_variant


class Minimizing(NamedTuple):
    """The making of a header: the compiles that include it, its name, its mode, the full header's node."""

    compiles: tuple[CompileArgs, ...]
    name: str
    mode: str
    full: object


def minimized_vmlinux(env, name, sources, arch=None, mode=None, include_dirs=(), cflags=(), depends=(), uapi=None):
    """Returns the header nodes by arch, build/<arch>/minimized/<name>/vmlinux.h.

    They are for the arches asked for, or for `arch` alone. With several sources it is one header for them all: hand it
    to each BpfObject as `header`.
    """
    check_foreign(env)
    name, asked, mode = string(env, name), arches(env, arch), string(env, mode) or "exact"
    if mode not in MODES:
        raise StopError(f"MinimizedVmlinux: mode={mode!r}: no such mode; take one of {', '.join(MODES)}")
    nodes = [file_of(env, each, "source") for each in flat(env, sources, "sources")]
    env = in_variant(env, nodes)
    sources = [source_node(env, each) for each in nodes]
    depends = depends_nodes(env, depends)
    if not sources:
        raise StopError(f"MinimizedVmlinux: {name} has no sources; name the programs that include the header")
    # One header, one set of flags: as soon as one of the sources asks for UAPI headers, all have them in sight.
    uapi = any(header_kinds(env, source, include_dirs, uapi).uapi for source in sources)
    flags = include_dirs, cflags, uapi
    made = {each.name: _declare(env, name, sources, each, mode, flags, depends) for each in asked}
    return ByArch(made.values(), made)


def header_path(env, arch, name):
    """Returns the path of a minimized header, from the project's root."""
    return output_path(env, arch.name, "minimized", name, "vmlinux.h").removeprefix("#")


def _declare(env, name, sources, arch, mode, flags, depends):
    session, full = env["EBPF"], vmlinux_header(env, arch.name)
    node = env.File(from_root(header_path(env, arch, name)))
    compiles = tuple(compile_args(env, source, arch, node.path, node.path, *flags) for source in sources)
    session.repair([node])
    session.minimized[node] = Minimizing(compiles, name, mode, full)
    args = compiles[0]
    seen = step_args(include_dirs=args.include_dirs, uapi_dirs=args.uapi_dirs, depends=depends_paths(depends))
    HEADER(env, target=node, source=sources, **seen)
    pinned = [full, libbpf_headers(env), *([uapi_headers(env)] if args.uapi_dirs else [])]
    env.Depends(node, [compile_inputs(env, "minimize/program.py", args, mode=mode), *pinned, *depends])
    register_header(env, node, session.minimized[node])
    return node


def scan(node, env, path):
    """Returns the nodes of the project's headers that a source includes; SCons calls it for each source."""
    step = env["EBPF_STEP_ARGS"]
    found = env["EBPF"].includes.headers(node.path, step.include_dirs, step.depends, env, step.uapi_dirs)
    return [env.fs.File(from_root(header)) for header in found.own]


def minimize_args(env, minimizing):
    """Returns the core's MinimizeArgs for a Minimizing whose full header has been fetched."""
    from ebpfbuild.minimize.program import MinimizeArgs

    digest = env["EBPF"].ledger.digest(minimizing.full.abspath)
    compiles = tuple(with_header(args, minimizing.full.path) for args in minimizing.compiles)
    return MinimizeArgs(compiles, minimizing.name, minimizing.mode, digest, kernel_of(minimizing.full))


def write_header(env, minimizing, path, known, said):
    """Makes the header of a Minimizing at a path from the root. Raises what minimize_programs raises."""
    from ebpfbuild.minimize.program import minimize_programs

    session, place = env["EBPF"], Path(env["EBPF"].root, path)
    text = minimize_programs(minimize_args(env, minimizing), session.indexes, known, session.root, said.notice)
    write_file(place, text.encode())
    session.ledger.built(str(place))


def _minimize(target, source, env, said):
    minimizing = env["EBPF"].minimized[target[0]]
    with explaining(env, minimizing.full, minimizing.compiles):
        write_header(env, minimizing, target[0].path, known_paths(env, target[0]), said)


def _unique_path(env, folder, target, source):
    """Returns a path like no other.

    SCons keeps by it what a source includes, and that changes once a header is made or fetched.
    """
    return (next(env["EBPF"].run.scans),)


SCANNER = SCons.Scanner.Scanner(scan, "ebpf", path_function=_unique_path)
HEADER = builder(
    _minimize, "MINIMIZE $TARGET", pinned_read, "preprocessed", cacheable=cacheable_header, source_scanner=SCANNER
)
METHODS = {"MinimizedVmlinux": minimized_vmlinux}
