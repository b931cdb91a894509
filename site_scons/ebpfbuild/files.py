"""Writing a file so that nobody ever sees half of it."""

import os
import tempfile
from pathlib import Path


def write_file(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, readable by all whatever the umask. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        try:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)
        except BaseException:
            os.unlink(file.name)
            raise
    os.replace(file.name, path)
