"""The command line: `python -I site_scons/verify_release FILE.whl`. It needs Python alone, no package."""

import sys
from pathlib import Path

# Run as a folder: Python put the folder itself on sys.path, and not the one that holds the core.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ebpfbuild.bytecode import believe_by_content  # noqa: E402

believe_by_content(sys.path[0])

from ebpfbuild.verify.command import main  # noqa: E402

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
