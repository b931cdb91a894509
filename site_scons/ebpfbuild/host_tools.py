"""Runs the machine's own programs (clang, ldd, bpftool) in an environment that is the same on every machine."""

import os
import re
import subprocess

# CPATH, C_INCLUDE_PATH, CCC_OVERRIDE_OPTIONS, HOME and the locale stay outside.
CLEAN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def libraries(binary: str) -> list[str]:
    """Returns the real paths of the libraries that ld.so loads for a dynamic binary; none for a static one.

    Source: ldd(1).
    """
    try:
        listed = subprocess.run(["ldd", binary], env=CLEAN_ENVIRONMENT, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return []
    return sorted({os.path.realpath(path) for path in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listed, re.MULTILINE)})
