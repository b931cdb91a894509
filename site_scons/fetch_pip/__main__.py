"""The command line: `python -I site_scons/fetch_pip LOCK FOLDER [--offline]`, or `… --vendored FOLDER ROOT LOCK…`."""

import os
import sys
from pathlib import Path

# Run as a folder: Python put the folder itself on sys.path, and not the one that it is a package of.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ebpfbuild.errors import PythonLockError, VendorError
from fetch_pip.errors import SetupError
from fetch_pip.pin import read_pin
from fetch_pip.places import fetch
from fetch_pip.settings import Settings, read_settings
from fetch_pip.vendored import require_vendored
from fetch_pip.web import Web


def provide(lock: Path, folder: Path, settings: Settings) -> Path:
    """Puts the pinned wheel into the folder and returns its path. Raises SetupError."""
    pin = read_pin(lock)
    data = fetch(pin, settings, Web(settings))
    path = folder / pin.wheel
    try:
        path.write_bytes(data)
    except OSError as error:
        raise SetupError(f"{path} can't be written: {error.strerror}") from None
    return path


def main(arguments: list[str]) -> int:
    """Runs the command line and returns its exit status; an error is one line on stderr."""
    try:
        if arguments[0] == "--vendored":
            require_vendored(Path(arguments[1]), [Path(arguments[2], lock) for lock in arguments[3:]])
            return 0
        lock, folder, *options = arguments
        print(provide(Path(lock), Path(folder), read_settings(os.environ, offline="--offline" in options)))
    except (SetupError, VendorError, PythonLockError) as error:
        print(f"sconsw: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
