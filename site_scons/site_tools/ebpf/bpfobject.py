"""BpfObject(source): a BPF object for each arch, compiled by the pinned clang from files that the graph knows."""

import sys
from types import SimpleNamespace

from ebpfbuild.arch import arch_named
from ebpfbuild.compdb import CompileCommand
from ebpfbuild.compile import compile_object

from SCons.Errors import StopError

from .compiling import compile_args, explaining, inputs_of, known_paths, source_node
from .fetching import reporter
from .minimized import SCANNER
from .session import user_error
from .step import build_path, builder, told


def bpf_object(env, source, name=None, arch=None, minimize=None, header=None, include_dirs=(), cflags=(), depends=()):
    """The nodes of build/<arch>/<name>.bpf.o, one for each arch asked for, or for `arch`, a name or a list, alone.

    name          the source's, without .bpf.c, unless given
    minimize      off, exact, lean or fields; MINIMIZE= on the command line overrides it, and exact is the default
    header        what MinimizedVmlinux gave for a set of programs, instead of a header of this program's own
    include_dirs  come behind EBPF_CPPPATH, cflags behind toolchain.toml's and EBPF_CFLAGS
    depends       files that the compile reads and the scanner can't see (`#include MACRO`)
    """
    arches = [user_error(arch_named, each) for each in env.Flatten([arch])] if arch else env["EBPF_ARCHES"]
    source = source_node(env, source)
    name = name or source.name.removesuffix(".c").removesuffix(".bpf")
    if "/" in name:
        what = "is no name for an object, which lies right in its arch's folder"
        raise StopError(f"{name!r} {what}; name it without a /")
    options = {"include_dirs": include_dirs, "cflags": cflags, "depends": depends}
    return [_declare(env, source, name, each, minimize, header, options) for each in arches]


def _declare(env, source, name, arch, minimize, header, options):
    session, full = env["EBPF"], env.VmlinuxHeader(arch.name)
    node = env.File(build_path(env, arch.name, f"{name}.bpf.o"))
    if node in session.compiled:
        raise StopError(f"{node.path} is declared twice; give one of the programs another name")
    mode = env.MinimizeMode(minimize)
    if mode == "off":
        header = full
    elif header:
        if arch.name not in header:
            raise StopError(f"{node.path}: its header is not made for {arch.name}, only for {', '.join(header)}")
        header = header[arch.name]
    else:
        header = env.MinimizedVmlinux(name, source, arch.name, mode, **options)[arch.name]
    include_dirs, cflags, depends = options.values()
    args = compile_args(env, source, arch, node, header, include_dirs, cflags)
    clangd = compile_args(env, source, arch, node, full, include_dirs, cflags)  # an editor completes from the full header
    session.commands.append(CompileCommand(clangd.source, clangd.output, tuple(clangd.command())))
    session.repair([node])
    session.compiled[node] = SimpleNamespace(args=args, header=header, full=full)
    OBJECT(env, target=node, source=source, **told(args=args, full=full, include_dirs=args.include_dirs))
    env.Depends(node, [inputs_of(env, "compile.py", args), header, full, env.LibbpfHeaders(), *env.Flatten(depends)])
    env.Requires(node, env.CompileCommands())
    return node


def _compile(target, source, env):
    step = env["EBPF_TOLD"]
    with explaining(env, step.full, step.args.arch.name):
        known = known_paths(env, target[0])
        warnings = compile_object(step.args, step.full.path, known, env["EBPF"].root, reporter(env))
    sys.stderr.write(warnings)


OBJECT = builder(_compile, "CLANG    $TARGET", source_scanner=SCANNER)
METHODS = {"BpfObject": bpf_object}
