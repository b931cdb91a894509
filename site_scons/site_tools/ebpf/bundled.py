"""The libbpf.so.1 that a package carries, built of pinned sources: a node for each arch, shared by all packages."""

import os
from pathlib import Path

from ebpfbuild.errors import EbpfError
from ebpfbuild.files import write_file

from .errors import user_error
from .fetching import fetch_options, project_file_digests
from .step import build_path, builder, step_args

SONAME = "libbpf.so.1"
ZIG = "ziglang"  # the wheel of the compiler, installed by the lock also where a project takes another clang


def bundled_library(env, arch):
    """Returns the nodes of an arch's library, and of the licences of what it is built of. Raises StopError."""
    from ebpfbuild.bundle.licenses import LICENSE_FILES

    session, key = env["EBPF"], f"bundled {arch.name}"
    if key not in session.shared:
        pin = session.bundle
        session.shared["bundle"] = pin.pins()
        folder = build_path(env, arch.name, "bundle")
        nodes = [env.File(f"{folder}/{name}") for name in (SONAME, *LICENSE_FILES)]
        session.repair(nodes)
        inputs = {f"pin {each.key} sha256": each.signature for each in pin.pins()}
        inputs["pinned file of the project"] = project_file_digests(env, [each.source for each in pin.pins()])
        inputs |= {"arch": arch.name, "glibc": list(glibc_of(env, arch)), "zig": _zig_digest(session)}
        value = session.inputs.node(env, "bundle/build.py", **inputs)
        LIBRARY(env, target=nodes, source=value, **step_args(arch=arch.name, glibc=glibc_of(env, arch)))
        session.shared[key] = nodes
    return session.shared[key]


def glibc_of(env, arch):
    """Returns the oldest glibc that an arch's library runs with. Raises StopError."""
    from ebpfbuild.bundle.targets import glibc_for

    pin = env["EBPF"].bundle
    return user_error(glibc_for, arch.name, pin.glibc, pin.where)


def bundle_inputs(env, nodes_by_arch):
    """Returns what a wheel's papers say of its libraries, as inputs of its step; nothing for a wheel without."""
    if not nodes_by_arch:
        return {}
    pins = env["EBPF"].bundle.pins()
    return {"papers of the bundle": [f"{pin.signature} {pin.kernel} {pin.source.shown}" for pin in pins]}


def packed_bundle(env, nodes_by_arch):
    """Returns the core's Bundle of the nodes that bundled_library gave, by arch."""
    from ebpfbuild.bundle.licenses import LICENSE_FILES
    from ebpfbuild.package.pack import Bundle

    libraries = {arch.name: nodes[0].abspath for arch, nodes in nodes_by_arch.items()}
    _, *licenses = next(iter(nodes_by_arch.values()))
    return Bundle(
        libraries,
        env["EBPF"].bundle.sources["libbpf"].kernel,
        {place: node.abspath for place, node in zip(LICENSE_FILES, licenses)},
        {arch.name: glibc_of(env, arch) for arch in nodes_by_arch},
    )


def _zig(session):
    """Returns the path of zig. Raises CompilerError."""
    from ebpfbuild.compile.clang import package_folder

    return str(package_folder(ZIG, session.bundle.where) / "zig")


def _zig_digest(session):
    """Returns the digest of zig's binary; that it isn't installed is for the step to tell."""
    try:
        return session.ledger.digest(_zig(session))
    except EbpfError:
        return "not installed"


def _build(target, source, env):
    """Fetches the sources, builds the library and writes it with its licences."""
    from ebpfbuild.bundle.build import build
    from ebpfbuild.bundle.licenses import LICENSE_FILES
    from ebpfbuild.fetch.obtain import obtain_header

    session, step = env["EBPF"], env["EBPF_STEP_ARGS"]
    archives, where = {}, {}
    for name, pin in session.bundle.sources.items():
        archives[name] = obtain_header(pin, fetch_options(env), session.reporter).path.read_bytes()
        where[name] = pin.source.where
    folder = Path(target[0].abspath).parent
    os.makedirs(folder, exist_ok=True)
    library = build(step.arch, step.glibc, archives, where, _zig(session), folder)
    for node, data in zip(target, (library.data, *(library.licenses[name] for name in LICENSE_FILES))):
        write_file(Path(node.abspath), data)


LIBRARY = builder(_build, "LIBRARY  $TARGET")
