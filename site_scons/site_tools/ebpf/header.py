"""VmlinuxHeader(arch): the pinned vmlinux.h of an arch, fetched, verified, and fitting the arch."""

from pathlib import Path

from ebpfbuild.arch import arch_named

from .arguments import string
from .errors import user_error
from .fetching import fetch_options, project_file_digests
from .step import build_path, builder, step_args


def vmlinux_header(env, arch):
    """Returns the node of build/<arch>/include/vmlinux.h.

    Beside it, vmlinux.h.json records which source its bytes came from.
    """
    session, arch = env["EBPF"], user_error(arch_named, string(env, arch))
    folder = build_path(env, arch.name, "include")
    if folder in session.shared:
        return session.shared[folder]
    header, record = (env.File(f"{folder}/{name}") for name in ("vmlinux.h", "vmlinux.h.json"))
    pin = user_error(session.toolchain.header, arch.name)
    if pin.given:
        session.repair([header, record])
    else:
        session.repair([header], lambda path: _may_stay(env, pin, session.ledger.digest(path)))
        session.repair([record])
    inputs = {
        f"pin {pin.key} sha256": pin.signature,
        "pinned file of the project": project_file_digests(env, [each.source for each in (pin, *pin.alternates)]),
    }
    value = session.inputs.node(env, "fetch/install.py", **inputs)
    VMLINUX(env, target=[header, record], source=value, **step_args(pin=pin, arch=arch))
    session.shared[folder] = header
    return header


def _may_stay(env, pin, sha256):
    """Returns True if a header that is in place may stay.

    An alternate must not, for a release or when the pinned one is near.
    """
    if sha256 == pin.sha256 or not pin.accepts(sha256, env["EBPF_RELEASE"]):
        return sha256 == pin.sha256
    from ebpfbuild.fetch.install import pinned_is_near

    return not user_error(pinned_is_near, pin, fetch_options(env))


def _install(target, source, env):
    from ebpfbuild.fetch.install import install_header

    paths = (Path(node.abspath) for node in target)
    args = env["EBPF_STEP_ARGS"]
    install_header(args.pin, args.arch, fetch_options(env), env["EBPF"].reporter, *paths)


VMLINUX = builder(_install, "HEADER   $TARGET")
METHODS = {"VmlinuxHeader": vmlinux_header}
