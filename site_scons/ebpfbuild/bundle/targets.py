"""The arches that a libbpf is built for, and the oldest glibc of each. A null build reads this."""

from ..errors import BundleError

SONAME = "libbpf.so.1"
# zig's targets by arch, and the first glibc that has the arch; of POWER the first with zig's kind of long double.
TARGETS = {
    "x86_64": ("x86_64-linux-gnu", (2, 17)),
    "aarch64": ("aarch64-linux-gnu", (2, 17)),
    "arm": ("arm-linux-gnueabihf", (2, 17)),
    "riscv64": ("riscv64-linux-gnu", (2, 27)),
    "powerpc": ("powerpc64le-linux-gnu", (2, 32)),
    "s390x": ("s390x-linux-gnu", (2, 17)),
    "loongarch64": ("loongarch64-linux-gnu", (2, 36)),
}


def glibc_for(arch: str, glibc: tuple[int, int], where: str) -> tuple[int, int]:
    """Returns the glibc that an arch's library is built for: the pinned one, or the arch's first where that is newer.

    Raises BundleError for an arch that none is built for.
    """
    if arch not in TARGETS:
        fix = f"leave bundle_libbpf out of its package; libraries are built for {', '.join(TARGETS)}"
        raise BundleError(f"no libbpf can be built for {arch}", where=where, fix=fix)
    return max(glibc, TARGETS[arch][1])
