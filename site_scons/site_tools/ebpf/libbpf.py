"""LibbpfHeaders(): libbpf's BPF-side headers, pinned by one digest over them all."""

from pathlib import Path

from .fetching import fetch_options, project_file_digests
from .step import build_path, builder, step_args


def libbpf_headers(env):
    """Returns the node of build/libbpf/headers.sha256, the manifest of build/libbpf/include/bpf/.

    It stands for the headers there.
    """
    session = env["EBPF"]
    folder = build_path(env, "libbpf")
    if folder not in session.shared:
        pin = session.toolchain.libbpf
        manifest, *headers = (env.File(f"{folder}/{name}") for name in ("headers.sha256", *(f"include/bpf/{name}" for name in pin.files)))
        session.repair([manifest, *headers])
        inputs = {
            f"pin {pin.key} sha256": pin.signature,
            f"pin {pin.key} file": list(pin.files),
            "pinned file of the project": project_file_digests(env, pin.sources),
        }
        value = session.inputs.node(env, "fetch/install.py", **inputs)
        LIBBPF(env, target=[manifest, *headers], source=value, **step_args(pin=pin))
        session.shared[folder] = manifest
    return session.shared[folder]


def _install(target, source, env):
    from ebpfbuild.fetch.install import install_tree

    manifest, first = Path(target[0].abspath), Path(target[1].abspath)
    install_tree(env["EBPF_STEP_ARGS"].pin, fetch_options(env), env["EBPF"].reporter, first.parent, manifest)


LIBBPF = builder(_install, "LIBBPF   $TARGET")
METHODS = {"LibbpfHeaders": libbpf_headers}
