"""LibbpfHeaders(): libbpf's BPF-side headers, pinned by one digest over them all."""

from pathlib import Path

from .fetching import fetch_options, own_files, reporter
from .step import build_path, builder, told


def libbpf_headers(env):
    """The node of build/libbpf/headers.sha256, the manifest that stands for the headers in build/libbpf/include/bpf/."""
    session = env["EBPF"]
    folder = build_path(env, "libbpf")
    if folder not in session.shared:
        pin = session.toolchain.libbpf
        manifest, *headers = (env.File(f"{folder}/{name}") for name in ("headers.sha256", *(f"include/bpf/{name}" for name in pin.files)))
        session.repair([manifest, *headers])
        inputs = session.value(env, "fetch/install.py", pin.signature, pin.files, *own_files(env, pin.sources))
        LIBBPF(env, target=[manifest, *headers], source=inputs, **told(pin=pin))
        session.shared[folder] = manifest
    return session.shared[folder]


def _install(target, source, env):
    from ebpfbuild.fetch.install import install_tree

    manifest, first = Path(target[0].abspath), Path(target[1].abspath)
    install_tree(env["EBPF_TOLD"].pin, fetch_options(env), reporter(env), first.parent, manifest)


LIBBPF = builder(_install, "LIBBPF   $TARGET")
METHODS = {"LibbpfHeaders": libbpf_headers}
