"""Writing a file so that nobody ever sees half of it."""

import os
import tempfile
from pathlib import Path


def write_file(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, readable by all whatever the umask. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)
        os.replace(name, path)  # a full disk may show as late as on closing, a folder of that name here
    except BaseException:
        os.unlink(name)
        raise
