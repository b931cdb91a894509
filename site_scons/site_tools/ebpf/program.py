"""BpfProgram(name, source): the macro that declares header, object, skeleton and package for every arch asked for."""

from .arguments import string
from .by_arch import ByArch
from .command_targets import add_to_alias


def bpf_program(
    env,
    name,
    source=None,
    version="0",
    app=None,
    summary="",
    license="",
    readme=None,
    events=None,
    c_skeleton=False,
    arch=None,
    minimize=None,
    header=None,
    include_dirs=(),
    cflags=(),
    depends=(),
    uapi=None,
    kernel_btf=(),
    bundle_libbpf=False,
):
    """Declares all of one program and returns its nodes. The source is <name>.bpf.c unless given.

    `scons <name>` builds them, `scons programs` all programs.

    `events` are the C types of the records of ring and perf buffers, by map: {"events": "struct event"};
    `c_skeleton=True` adds BpfCSkeleton's headers, to the tar as well. `app`, `summary`, `license`, `readme`,
    `kernel_btf` and `bundle_libbpf` are BpfPackage's; `arch`, `minimize`, `header`, `include_dirs`, `cflags`, `depends`
    and `uapi` BpfObject's.
    """
    name = string(env, name)
    source = f"{name}.bpf.c" if source is None else source
    objects = env.BpfObject(source, name, arch, minimize, header, include_dirs, cflags, depends, uapi)
    skeleton = env.BpfSkeleton(objects, name, events)
    c_skeletons = env.BpfCSkeleton(objects, name) if c_skeleton else []
    about = {"summary": summary, "license": license, "readme": readme}
    about |= {"kernel_btf": kernel_btf, "bundle_libbpf": bundle_libbpf}
    package = env.BpfPackage(name, version, objects, skeleton, app=app, c_skeletons=c_skeletons, **about)
    made = [*objects, *skeleton, *c_skeletons, *package]
    add_to_alias(env, name, made)
    return ByArch(made, objects.by_arch)


METHODS = {"BpfProgram": bpf_program}
