"""Makes the library that moves the clock and sorts folders for the programs which preload it, by the packaged clang."""

import platform
import subprocess
import sys
from pathlib import Path

from ..compile.clang import package_folder
from ..errors import CompilerError, ReproduceError
from ..host_tools import CLEAN_ENVIRONMENT

SOURCE = Path(__file__).with_name("shim.c")
GLIBC = (2, 34)  # has dlsym in libc.so itself: a library that needs another one might not load everywhere
_TARGETS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}


def make_shim(output: Path, offset: int, backwards: bool) -> str:
    """Writes a shared library and returns its path. Raises ReproduceError where this machine can't have one."""
    target = _TARGETS.get(platform.machine()) if sys.platform == "linux" else None
    name, version = platform.libc_ver()
    if target is None or (name == "glibc" and tuple(map(int, version.split(".")[:2])) < GLIBC):
        what = "is written for Linux on x86_64 and aarch64, and needs glibc 2.34"
        raise ReproduceError(what, where="the library that moves the clock")
    flags = ["-target", target, "-nostdinc", "-ffreestanding", "-fno-stack-protector", "-fPIC", "-O1", "-w"]
    defined = [f"-DOFFSET={offset}L", f"-DBACKWARDS={int(backwards)}"]
    made = output.with_suffix(".o")
    try:
        zig = str(package_folder("ziglang", SOURCE.name) / "zig")
        for command in (
            [zig, "clang", *flags, *defined, "-c", str(SOURCE), "-o", str(made)],
            [zig, "ld.lld", "-shared", str(made), "-o", str(output)],
        ):
            subprocess.run(command, env=CLEAN_ENVIRONMENT, capture_output=True, check=True)
    except (CompilerError, OSError, subprocess.CalledProcessError) as error:
        raise ReproduceError(f"can't be made ({error})", where="the library that moves the clock") from None
    output.chmod(0o755)  # whatever the umask: another user's programs load it, too
    return str(output)
