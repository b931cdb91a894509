"""LibbpfHeaders(): libbpf's BPF-side headers, pinned by one digest over them all."""

from pathlib import Path

from .fetching import fetch_options, project_file_digests
from .step import build_path, builder, step_args


def libbpf_headers(env):
    """Returns the node of build/libbpf/headers.sha256, the manifest of build/libbpf/include/bpf/.

    It stands for the headers there.
    """
    return pinned_tree(env, LIBBPF, env["EBPF"].toolchain.libbpf, "headers.sha256", "include/bpf", "libbpf")


def pinned_tree(env, step, pin, name, inside, *place):
    """Returns the node of a tree's manifest, which `step` makes: `name` in a folder of the build folder.

    The tree's files lie `inside` that folder.
    """
    session = env["EBPF"]
    folder = build_path(env, *place)
    if folder not in session.shared:
        manifest, *files = (
            env.File(f"{folder}/{path}") for path in (name, *(f"{inside}/{file}" for file in pin.files))
        )
        session.repair([manifest, *files])
        inputs = {
            f"pin {pin.key} sha256": pin.signature,
            f"pin {pin.key} file": list(pin.files),
            "pinned file of the project": project_file_digests(env, pin.sources),
        }
        value = session.inputs.node(env, "fetch/install.py", **inputs)
        step(env, target=[manifest, *files], source=value, **step_args(pin=pin))
        session.shared[folder] = manifest
    return session.shared[folder]


def install(target, source, env):
    """Writes a tree's files, and its manifest, which is the first target."""
    from ebpfbuild.fetch.install import install_tree

    manifest, first = Path(target[0].abspath), Path(target[1].abspath)
    install_tree(env["EBPF_STEP_ARGS"].pin, fetch_options(env), env["EBPF"].reporter, first.parent, manifest)


LIBBPF = builder(install, "LIBBPF   $TARGET")
METHODS = {"LibbpfHeaders": libbpf_headers}
