"""Servers on loopback, and a project whose build has every stage."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "core"))

# ruff: noqa: E402, F401  what stands above makes these importable; most are fixtures
from loopback import no_proxy, pauses, server, world
from scons_project import ROOT
from staged import staged_project


@pytest.fixture(scope="session")
def staged(tmp_path_factory, compiler, known, pinned):
    """The project of staged.py, built; each test leaves it so."""
    with staged_project(tmp_path_factory.mktemp("staged"), compiler.version, pinned, known(ROOT)) as project:
        yield project
