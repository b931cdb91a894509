"""VmlinuxHeader(arch): the pinned vmlinux.h of an arch, fetched, verified, and fitting the arch."""

from pathlib import Path

from ebpfbuild.arch import arch_named

from .fetching import fetch_options, own_files, reporter
from .session import user_error
from .step import build_path, builder, told


def vmlinux_header(env, arch):
    """The node of build/<arch>/include/vmlinux.h. Beside it, vmlinux.h.json records which source its bytes came from."""
    session, arch = env["EBPF"], user_error(arch_named, arch)
    folder = build_path(env, arch.name, "include")
    if folder in session.shared:
        return session.shared[folder]
    header, record = (env.File(f"{folder}/{name}") for name in ("vmlinux.h", "vmlinux.h.json"))
    pin = user_error(session.toolchain.header, arch.name)
    session.repair([header], lambda path: _stays(env, pin, session.ledger.digest(path)))
    session.repair([record])
    own = own_files(env, [each.source for each in (pin, *pin.alternates)])
    inputs = session.value(env, "fetch/install.py", pin.signature, *own)
    HEADER(env, target=[header, record], source=inputs, **told(pin=pin, arch=arch))
    session.shared[folder] = header
    return header


def _stays(env, pin, sha256):
    """Whether a header that is in place may stay: an alternate must not, for a release or when the pinned one is near."""
    if sha256 == pin.sha256 or not pin.accepts(sha256, env["EBPF_RELEASE"]):
        return sha256 == pin.sha256
    from ebpfbuild.fetch.install import pinned_is_near

    return not user_error(pinned_is_near, pin, fetch_options(env))


def _install(target, source, env):
    from ebpfbuild.fetch.install import install_header

    paths = (Path(node.abspath) for node in target)
    args = env["EBPF_TOLD"]
    install_header(args.pin, args.arch, fetch_options(env), reporter(env), *paths)


HEADER = builder(_install, "HEADER   $TARGET")
METHODS = {"VmlinuxHeader": vmlinux_header}
