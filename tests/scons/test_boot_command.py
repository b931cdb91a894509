"""`boot` in real builds, with a stand-in for QEMU that answers as a guest: the table, JSON, figures, and what it refuses."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))
from archives import deb, tar  # noqa: E402
from btfwriter import assemble, info  # noqa: E402
from scripts import python_script  # noqa: E402

MACHINE = os.uname().machine
# Finds the nonce and the objects in the initramfs, and says of each program what BOOT_SAYS holds.
QEMU = """\
import json, os, sys, time, zlib
initrd = open(sys.argv[sys.argv.index("-initrd") + 1], "rb").read().decode("latin-1")
task, _ = json.JSONDecoder().raw_decode(initrd, initrd.index('{"hide_btf"'))
def report(kind, **facts):
    text = json.dumps({"kind": kind, **facts}).encode()
    print(f"@boot {task['nonce']} {zlib.crc32(text):08x} {text.decode()}")
if "kvm" in sys.argv:  # a /dev/kvm that opens and doesn't work
    print("KVM internal error. Suberror: 1", flush=True)
    time.sleep(300)
says = json.loads(os.environ["BOOT_SAYS"])
report("guest", release="6.1.0-fake", page=4096, btf=not task["hide_btf"], modules=[])
for number, each in enumerate(task["objects"]):
    report("program", **{"object": number, "program": "p", **(says or {"events": 2, "insns": 100})})
    report("object", object=number, error="", traffic=[])
if tests := task.get("tests"):
    assert all(f"project/{name}\\0" in initrd for name in ("tests/test_it.py", "made.txt")) and "task/packages/pytest/__init__.py" in initrd
    for outcome in says.get("outcomes", ()):
        report("test", test=f"{tests['words']}::{outcome}{' with BTF' * ('task/kernel.btf' in initrd)}", outcome=outcome, text="because", seconds=0.5)
    report("pytest", status=0)
if says.get("sleeps"): sys.stdout.flush(); time.sleep(300)
if says.get("panics"): print("[ 9.1] RIP: 0010:f+0x1/0x2\\n[ 9.2] Kernel panic - not syncing: Oops")
if not says.get("hangs"): report("end")
"""
LOADER = '#!/bin/sh\nunset PYTHONHOME\nshift 3\nexec "{python}" "$@"\n'
PROGRAM = """#include <linux/bpf.h>
__attribute__((section("raw_tp/sched_switch"), used)) int p(void *ctx) { return 0; }
__attribute__((section("license"), used)) char LICENSE[] = "GPL";
"""


@pytest.fixture
def boots(make_project, tmp_path):
    """A project with one program and two kernels, whose packages lie in a mirror."""
    project = make_project("boots", fresh=True)
    mirror, tools = project.folder / "mirror", tmp_path / "bin"
    tools.mkdir()
    pool = {
        "pool/u.deb": deb(tar({"./usr/bin/python3.13": b"#!", "./usr/lib64/ld-fake.so.2": LOADER.format(python=sys.executable).encode()}, "w:xz")),
        "pool/k_1.deb": deb(tar({"./boot/vmlinuz-6.1": b"one"}, "w:xz")), "pool/k_2.deb": deb(tar({"./boot/vmlinuz-6.12": b"two"}, "w:xz")),
    }  # fmt: skip
    for name, data in pool.items():
        (mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / name).write_bytes(data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in pool.items()}
    pins = project.folder / "toolchain.toml"
    text = f'\n[guests.{MACHINE}]\n"pool/u.deb" = "{digests["pool/u.deb"]}"\n'
    for number, name, release, more in ((1, "old", "6.1", ""), (2, "new", "6.12", "hide_btf = true\n")):
        text += f'[kernels.{name}]\narch = "{MACHINE}"\nkernel = "{release}"\npool = "pool/k_{number}.deb"\nsha256 = "{digests[f"pool/k_{number}.deb"]}"\n{more}'
    pins.write_text(pins.read_text() + text)
    (tools / f"qemu-system-{MACHINE}").write_text(python_script(QEMU))
    (tools / f"qemu-system-{MACHINE}").chmod(0o755)
    (project.folder / "src" / "p.bpf.c").write_text(PROGRAM)
    project.declare('env.BpfObject("one", "src/p.bpf.c")\n')
    project.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    project.environment["BOOT_SAYS"] = "{}"
    return project


def run(project, *arguments, **says):
    return project.scons(f"ARCH={MACHINE}", f"MIRROR={project.folder / 'mirror'}", "boot", *arguments, BOOT_SAYS=json.dumps(says))


@pytest.mark.slow
def test_each_kernel_is_booted_and_what_programs_did_stands_in_a_table_and_in_json(boots):
    done = run(boots, "BOOT_JSON=found.json", "--record")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [[cell for cell in line.split("  ") if cell] for line in done.stdout.splitlines()]
    assert [MACHINE, "old", "new"] in [[cell.strip() for cell in row] for row in rows]
    assert ["p", "ran 2, 100 insns", "ran 2, 100 insns"] in [[cell.strip() for cell in row] for row in rows]
    found = json.loads((boots.folder / "found.json").read_text())
    assert [(each["name"], each["btf"], each["accelerator"], each["stopped"]) for each in found["kernels"]] == [("old", True, "tcg", None), ("new", False, "tcg", None)]
    figures = (boots.folder / "verifier-figures.txt").read_text().splitlines()
    assert figures[2:] == [f"one.bpf.o\tp\t{MACHINE}\t6.1.0-fake\tloaded\t100\t-\t-\t-"]
    assert all((boots.folder / "build/boot" / name / "serial.log").stat().st_size for name in ("old", "new"))
    dearer = run(boots, "KERNELS=old", "--compare", events=1, insns=130)
    assert "boot: --record and --compare exclude each other; " in boots.fails("boot", "--record", "--compare", f"ARCH={MACHINE}")
    assert dearer.returncode == 2 and "p got dearer: insns 100 -> 130" in dearer.stdout
    assert "verifier-figures.txt: programs are dearer than it allows; make them cheaper, or accept it: boot --record" in dearer.stderr
    assert run(boots, "KERNELS=old", "--compare", events=1, insns=119).returncode == 0
    assert run(boots, "KERNELS=old", "--compare", "VERIFY_LIMIT=40%", events=1, insns=130).returncode == 0
    (boots.folder / "verifier-figures.txt").unlink()
    assert "verifier-figures.txt: holds no figures; record them first" in run(boots, "KERNELS=old", "--compare").stderr


@pytest.mark.slow
def test_what_fails_unforeseen_a_guest_that_does_not_end_and_words_that_are_none_fail_the_command(boots):
    failed = run(boots, "KERNELS=old", load="can't load p: no\n  because")
    assert failed.returncode == 2 and "p on old: load fails\n  can't load p: no\n    because\n" in failed.stdout
    assert "boot: programs fail that the matrix doesn't foresee; mend them" in failed.stderr
    assert f"  p of build/{MACHINE}/one.bpf.o on old: load fails" in failed.stderr
    hung = run(boots, "KERNELS=new", hangs=True)
    assert hung.returncode == 2 and "a guest didn't end by itself; read its serial output" in hung.stderr
    assert "new: it ended before all was done; read build/boot/new/serial.log" in hung.stderr
    assert "KERNELS: odl is no kernel of toolchain.toml; take of old, new" in run(boots, "KERNELS=odl").stderr
    assert "BOOT_SECONDS=soon: not a number of seconds; write BOOT_SECONDS=600" in run(boots, "BOOT_SECONDS=soon").stderr


def test_an_interrupt_ends_the_guest_and_the_command(boots):
    boots.environment["BOOT_SAYS"] = '{"sleeps": 1}'
    words = [f"ARCH={MACHINE}", f"MIRROR={boots.folder / 'mirror'}", "boot", "KERNELS=old"]
    build = boots.start(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log, deadline = boots.folder / "build/boot/old/serial.log", time.monotonic() + 120
    while not (log.exists() and log.stat().st_size):
        assert build.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    build.send_signal(signal.SIGINT)
    text, _ = build.communicate(timeout=120)  # less than the guest's own time
    assert build.returncode and "nterrupted" in text and "Traceback" not in text


def test_a_project_s_tests_run_on_each_kernel_and_a_failure_fails_the_command(boots):
    assert "boot test: the project declares no tests; add env.EbpfTest(" in boots.fails("boot", "test", f"ARCH={MACHINE}")
    assert "boot test: BOOT_JSON= is of boot alone; leave it out" in boots.fails("boot", "test", "BOOT_JSON=x", f"ARCH={MACHINE}")
    boots.edit("SConstruct", "env.BpfObject(", """made = env.Command("made.txt", [], ['echo >made.txt'])
env.EbpfTest("test", "tests", boot_tests="tests/test_it.py", boot_files=made)
env.BpfObject(""")
    assert "/tests is no file and no folder; name others in boot_files" in run(boots, "test").stderr
    (boots.folder / "tests").mkdir()
    (boots.folder / "tests" / "test_it.py").write_text("def test_it(): pass\n")
    done = run(boots, "test", outcomes=["passed", "skipped"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "old (6.1.0-fake, " in done.stdout and "): 1 passed, 1 skipped\n  skipped 1: because\n" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" s: 2 passed, 2 skipped") and "2 kernels booted in " in done.stdout
    assert "BOOT_SECONDS=x: not a number of seconds; write BOOT_SECONDS=3600" in boots.fails("boot", "test", "BOOT_SECONDS=x", f"ARCH={MACHINE}")
    panicked = run(boots, "test", "KERNELS=old", outcomes=["passed"], panics=True)
    why = "its kernel panicked: Oops at f+0x1/0x2"
    assert panicked.returncode == 2 and f"  {why}; its serial output: build/boot/old/serial.log\n" in panicked.stdout
    assert f"  old: 1 passed; {why}\n" in panicked.stderr
    btf, pins = assemble([(1, info(1), 4, 1 << 24 | 32)], ("", "int")), boots.folder / "toolchain.toml"
    (boots.folder / "bare.btf").write_bytes(btf)
    bare = pins.read_text().split("[kernels.new]\n")[1].replace("hide_btf = true\n", f'uname = "6.12"\nbtf = "bare.btf"\nbtf_sha256 = "{hashlib.sha256(btf).hexdigest()}"\n')
    pins.write_text(f"{pins.read_text()}[kernels.bare]\n{bare}")
    named = run(boots, "test", "KERNELS=bare", "ARGS=-k 'a b'", outcomes=["passed", "failed"])
    assert named.returncode == 2 and "  failed: ['tests/test_it.py', '-k', 'a b']::failed with BTF\n    because\n" in named.stdout
    assert "ebpf: bare (tcg): failed: ['tests/test_it.py', '-k', 'a b']::failed with BTF\n" in named.stderr
    assert "boot test: tests fail on a booted kernel; read the failures above" in named.stderr and "  bare: 1 passed, 1 failed" in named.stderr
    assert 'failures="1"' in (boots.folder / "build/boot/bare/tests.xml").read_text()
