"""Names a release of a packaged clang by one digest for all machines, whose wheels hold other binaries of it.

The lock lists the sha256 of each of those wheels. The digest over that list stands for the release, where the installed
binary is the one which its wheel brought.
"""

from pathlib import Path

LOCK = Path(__file__).resolve().parents[3] / "requirements.lock"
LOCK_READER = str(Path(__file__).resolve().parents[1] / "python_lock.py")  # a null build doesn't import it


def release_digest(folder: Path, binary_sha256: str) -> str:
    """Returns the sha256 over the lines `<sha256>  <package>-<version>` of LOCK's wheels of an installed package.

    `folder` is the package's, `binary_sha256` its clang's. Empty where the lock doesn't pin the installed version, or
    the binary isn't the wheel's own by its RECORD.
    """
    version = _installed_version(folder, binary_sha256)
    if not version or not LOCK.is_file():
        return ""
    from ..python_lock import read_lock

    package = read_lock(LOCK).package(folder.name)
    return package.digest if package and package.version == version else ""


def _installed_version(folder: Path, binary_sha256: str) -> str:
    """Returns the version of the wheel whose RECORD lists this binary; empty for none. Source: PEP 376, PEP 427."""
    import base64  # not for a null build

    encoded = base64.urlsafe_b64encode(bytes.fromhex(binary_sha256)).rstrip(b"=").decode()
    line = f"{folder.name}/zig,sha256={encoded},"
    for record in folder.parent.glob(f"{folder.name}-*.dist-info/RECORD"):
        if any(each.startswith(line) for each in record.read_text(encoding="utf-8").splitlines()):
            return record.parent.name.removeprefix(f"{folder.name}-").removesuffix(".dist-info")
    return ""
