"""Servers on loopback, and a line that each fault's error must be."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "core"))

# ruff: noqa: E402, F401  what stands above makes these importable; they are fixtures
from loopback import no_proxy, pauses, server, world
