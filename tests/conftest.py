"""Puts the core and the loader on sys.path, as SCons and a wheel would."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
for folder in ("site_scons", "loader"):
    sys.path.insert(0, str(ROOT / folder))
