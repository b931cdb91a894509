"""Checks single values of toolchain.toml: each function returns what is wrong with a text and the fix, or ""."""

import re
from urllib.parse import urlsplit

CPUS = ("v1", "v2", "v3", "v4")  # clang's -mcpu for BPF; `probe` would ask the machine that builds
PACKAGES = ("ziglang",)


def sha256_fault(text: str) -> str:
    """Checks that a text is a sha256 in lower case."""
    if re.fullmatch("[0-9a-f]{64}", text):
        return ""
    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return f"is in capitals; write it in lower case: {text.lower()}"
    odd = next((letter for letter in text if letter not in "0123456789abcdefABCDEF"), None)
    return f"holds {odd!r}, which is no hex digit" if odd else f"has {len(text)} hex digits, a sha256 has 64"


def uname_fault(text: str) -> str:
    """Checks that a text is a release as `uname -r` prints it, with * for any text."""
    if re.fullmatch(r"[A-Za-z0-9._+~*-]*[A-Za-z0-9][A-Za-z0-9._+~*-]*", text):
        return ""
    return f"is {text!r}; write what `uname -r` says there, with * for any text"


def version_fault(text: str) -> str:
    """Checks that a text is an exact version."""
    return "" if re.fullmatch(r"\d+(\.\d+)+\S*", text) else f"is {text!r}; write the exact version, such as 22.1.8"


def glibc_fault(text: str) -> str:
    """Checks that a text is a version of glibc."""
    return "" if re.fullmatch(r"\d+\.\d+", text) else f"is {text!r}; write the version that they need, such as 2.38"


def cpu_fault(text: str) -> str:
    """Checks that a text is a -mcpu of clang's for BPF."""
    return "" if text in CPUS else f"is {text!r}; take one of {', '.join(CPUS)}"


def package_fault(text: str) -> str:
    """Checks that a text is a Python package that carries a clang."""
    return "" if text in PACKAGES else f"is {text!r}; the packages that carry a clang are: {', '.join(PACKAGES)}"


def inside_fault(text: str) -> str:
    """Checks that a text is a plain path inside an archive."""
    if not text or text.startswith("/") or "\\" in text or "\0" in text or {".", "..", ""} & set(text.split("/")):
        return f"is {text!r}; write a plain path inside the archive, without . and .. and a leading /"
    return ""


def pool_fault(text: str) -> str:
    """Checks that a text is a path below a Debian archive."""
    if not text.startswith("pool/") or not re.search(r"\.deb$|\.orig\.tar\.(gz|bz2|xz)$", text):
        return f"is {text!r}; a pool path looks like pool/main/libb/libbpf/libbpf-dev_1.5.0-3_amd64.deb"
    return inside_fault(text)


def url_fault(text: str) -> str:
    """Checks that a text is an http(s) URL that a pin may have."""
    try:
        parts = urlsplit(text)
        host, user, _port = parts.hostname, parts.username, parts.port  # each may raise ValueError when it is read
    except ValueError:
        return f"is {text!r}, which is no URL"
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]", text):
        return f"is {text!r}; write a URL that begins with https://"
    if user is not None:
        return (
            "holds a user name or password; a pin is public, so leave them out, and take a MIRROR that may ask for them"
        )
    if parts.fragment or {".", ".."} & set(parts.path.split("/")):
        return f"is {text!r}; write it without a fragment and without . and .."
    return ""
