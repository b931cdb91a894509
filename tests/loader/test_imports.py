"""Importing the loader imports no module that its user may not need."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import bpfloader
import pytest

LOADER = Path(bpfloader.__file__).parent
HEAVY = """argparse ast asyncio concurrent.futures ctypes.util dataclasses difflib gzip hashlib importlib.util inspect
ipaddress json logging multiprocessing numpy pathlib pickle platform selectors shutil socket ssl string subprocess
tempfile textwrap tokenize traceback unittest urllib.parse uuid zipfile zlib""".split()
# typing imports annotationlib, which imports ast, for the first NamedTuple: 3 ms of Python 3.14's own.
HEAVY = [name for name in HEAVY if name != "ast" or sys.version_info < (3, 14)]
# Modules of the loader that few programs need: those with lazy public names, and what explains and inspects.
NEEDED = {"map.info", "program.sections", "program.struct_ops"}  # by Object itself, though they have lazy names
RARE = {*bpfloader._LAZY} - NEEDED | {*"""btf.c_text btf.core_relo btf.reader codec.numpy_records diagnose.attach_target
detach.attachments detach.command detach.pins
diagnose.cgroup_target diagnose.core_relo diagnose.function_target diagnose.interface_target diagnose.kernel_function
diagnose.libbpf_messages diagnose.map_rules diagnose.older_kernel diagnose.verifier_log diagnose.verifier_report
features.trial inspect.report kernel.attach_type kernel.bpf kernel.holders kernel.host kernel.instructions
kernel.link_places kernel.link_type kernel.netlink kernel.network_namespace kernel.objects kernel.versions link.folder link.place link.tail_calls
object.pins program.takeover map.standalone object.btf_types object.untyped package.archive package.manifest rings.async_reader
rings.poll spec.first_kernel spec.object spec.vet symbols.binary symbols.debug_files symbols.debuginfod symbols.demangle
symbols.function_table symbols.functions symbols.inlined symbols.perf_map symbols.probe_file symbols.process symbols.readable symbols.regions symbols.rust
symbols.user symbols.versions diagnose.refusal elf""".split()}


def test_each_rare_module_is_there():
    assert [name for name in RARE if not (LOADER / f"{name.replace('.', '/')}.py").is_file()] == []


def run_python(code: str, *paths: Path) -> str:
    """Runs a fresh interpreter without site-packages, whose .pth files import what they like; returns its output."""
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, (LOADER.parent, *paths)))}
    done = subprocess.run([sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_loader_imports_nothing_heavy():
    names = run_python("import bpfloader, sys; print(*sys.modules)").split()
    assert not {*HEAVY, *(f"bpfloader.{name}" for name in RARE)} & set(names)


def test_opening_loading_and_reading_import_nothing_heavy(folder, kernel):
    code = """if True:
        import sys
        import probe_skel
        with probe_skel.Probe.open() as probe:
            probe.load()
            probe.progs.emit.test_run(bytes(64))
            probe.progs.fill.test_run(bytes(64))
            assert len(list(probe.maps.events.events(timeout=0))) == 1 and len(dict(probe.maps.table)) == 1
            print(*sys.modules)
    """
    assert not set(HEAVY) & set(run_python(code, folder).split())


def test_every_name_is_there_and_is_what_type_checkers_take_it_for():
    (block,) = (node for node in ast.parse((LOADER / "__init__.py").read_text()).body if isinstance(node, ast.If))
    for node in block.body:
        module = sys.modules.get(f"bpfloader.{node.module}") or __import__(f"bpfloader.{node.module}", fromlist=["x"])
        for alias in node.names:
            assert getattr(bpfloader, alias.name) is getattr(module, alias.name)
    assert all(hasattr(bpfloader, name) for name in bpfloader.__all__) and set(bpfloader.__all__) <= set(dir(bpfloader))
    with pytest.raises(AttributeError, match="module 'bpfloader' has no attribute 'nothing'"):
        bpfloader.nothing  # noqa: B018


def test_all_names_come_with_a_star():
    assert run_python("from bpfloader import *; print(RingBuffer.__name__, choose.__name__)") == "RingBuffer choose\n"
