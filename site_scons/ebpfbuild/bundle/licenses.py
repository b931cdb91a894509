"""The licences of what a bundled libbpf is built of: their files in the archives, and their SPDX names."""

LICENSES = {
    "libbpf": ("LICENSE", "LICENSE.BSD-2-Clause", "LICENSE.LGPL-2.1"),
    "elfutils": ("COPYING", "COPYING-GPLV2", "COPYING-LGPLV3"),
    "zlib": ("LICENSE",),
}
LICENSE_FILES = tuple(f"{name}/{file}" for name, files in LICENSES.items() for file in files)
# As each project's own notice has it.
SPDX = {
    "libbpf": "LGPL-2.1-only OR BSD-2-Clause",
    "elfutils": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "zlib": "Zlib",
}


def with_bundled(license: str) -> str:
    """Returns the SPDX expression of a package that carries the library; empty where the package's own isn't known."""
    own = f"({license})" if " " in license else license
    rest = (f"({each})" if " " in each else each for each in SPDX.values())
    return " AND ".join([own, *rest]) if license else ""
