"""Makes what the tests compile and a guest can't, as it has no compiler: objects, their skeletons, the probed binary.

    .venv/bin/python tests/loader/prebuilt.py build/guest-tests.zip ARCH...
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "site_scons"), str(Path(__file__).parent / "program")]

# ruff: noqa: E402  what stands above makes these importable
from compiling import compile_program
from ebpfbuild.arch import arch_named
from ebpfbuild.skeleton.skeleton import render
from probed_binary import BINARY

# Of testdata/loader; the others are parts of one object, or need the pinned headers.
NAMES = (
    *("bound", "congestion", "congestion_link", "freplace", "kinds", "layout", "layout_next", "maps", "multi", "privileges"),
    *("probe", "restart", "restart_next", "rings", "streams", "targets", "testbed", "typed"),
)
ZIG_TARGETS = {"arm": "arm-linux-gnueabihf"}  # of the others, the arch's name stands in front of -linux-gnu


def main(path: str, *arches: str) -> None:
    """Writes the zip: NAME.bpf.o for all arches, and for each ARCH/NAME_skel.py and ARCH/probed."""
    clang = [sys.executable, "-m", "ziglang", "clang", "--no-default-config"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in NAMES:
            data = compile_program(clang, name)
            archive.writestr(f"{name}.bpf.o", data)
            for arch in arches:
                archive.writestr(f"{arch}/{name}_skel.py", render(data, name, arch, f"{name}.bpf.o"))
        for arch in arches:
            archive.writestr(f"{arch}/probed", probed(arch))


def probed(arch: str, *options: str) -> bytes:
    """Returns the program that probes are placed in, for an arch; with the option -c its object file."""
    target = ZIG_TARGETS.get(arch, f"{arch_named(arch).name}-linux-gnu")
    os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(ROOT / "build" / "zig-cache"))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "probed")
        command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-fno-sanitize=all", "-O1", "-x", "c", "-"]
        subprocess.run([*command, *options, "-o", output], input=BINARY.encode(), check=True)
        return output.read_bytes()


if __name__ == "__main__":
    main(*sys.argv[1:])
