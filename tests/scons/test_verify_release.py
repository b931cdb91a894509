"""`sconsw verify-release` of what a real build made: without .venv, network or project; and rebuilt from its project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOTH = "ARCH=x86_64,aarch64"
PROGRAM = 'Default(env.BpfProgram("one", "src/one.bpf.c", version="1.2", license="GPL-2.0-only"))\n'
WHEEL = "one-1.2-py3-none-any.whl"


@pytest.fixture
def packed(declare):
    """The test project with the package of `one` for two arches."""
    project = declare(PROGRAM)
    project.build(BOTH, "PROVE=1")
    return project


def verify(folder, *arguments, checkout=ROOT, **environment):
    """Runs the command in a folder and returns its status and output."""
    place = {"PATH": os.environ["PATH"], "HOME": "/nowhere", **environment}
    done = subprocess.run([checkout / "sconsw", "verify-release", *arguments], cwd=folder, env=place, capture_output=True, text=True)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path):
    """A checkout as another machine has it, without a .venv, in which nothing can be written."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copytree(ROOT / "site_scons", folder / "site_scons", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("sconsw", "toolchain.toml", "requirements.lock", "SConstruct"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_another_machine_checks_a_release_with_python_and_the_pins_alone(packed, tmp_path, checkout):
    """The pins are the project's, and nothing but them and the release is there."""
    release = tmp_path / "release"
    release.mkdir()
    for path in (packed.folder / "build/dist").glob(f"{WHEEL}*"):
        shutil.copy(path, release)
    shutil.copy(packed.folder / "toolchain.toml", tmp_path / "pins.toml")
    before = sorted(checkout.rglob("*"))
    status, text = verify(tmp_path, f"release/{WHEEL}", "--toolchain=pins.toml", checkout=checkout, PYTHON=sys.executable)
    assert status == 0 and text.splitlines()[-1].startswith(f"VERIFIED {WHEEL} sha256 "), text
    assert sorted(checkout.rglob("*")) == before
    status, text = verify(tmp_path, f"release/{WHEEL}", checkout=checkout, PYTHON=sys.executable)
    assert status == 1 and "vmlinux.h of x86_64: has digest " in text and "toolchain.toml:" in text


def test_in_its_project_it_takes_the_project_s_pins_and_tells_a_tampered_object(packed):
    assert verify(packed.folder / "src", f"../build/dist/{WHEEL}")[0] == 0
    wheel = packed.folder / "build/dist" / WHEEL
    data = bytearray(wheel.read_bytes())
    data[data.index(b"\x7fELF") + 60] ^= 1
    wheel.write_bytes(data)
    status, text = verify(packed.folder, f"build/dist/{WHEEL}")
    assert status == 1 and f"FAILED   {WHEEL}: is no whole archive (Bad CRC-32 for file 'one/" in text


def test_a_signed_release_is_checked_by_ssh(packed):
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed (apt install openssh-client)")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"], cwd=packed.folder, check=True)
    public = (packed.folder / "key.pub").read_text().split()
    (packed.folder / "signers").write_text(f"release {public[0]} {public[1]}\n")
    packed.build(BOTH, "PROVE=1", "SIGN=ssh-keygen -Y sign -q -f key -n file")
    check = "ssh-keygen -Y verify -q -f signers -I release -n file -s {}.sig"
    status, text = verify(packed.folder, f"build/dist/{WHEEL}", f"--signature-check={check}")
    assert status == 0 and "ok       its statement is signed" in text, text
    (packed.folder / "signers").write_text(f"somebody {public[0]} {public[1]}\n")
    status, text = verify(packed.folder, f"build/dist/{WHEEL}", f"--signature-check={check}")
    assert status == 1 and "FAILED   --signature-check: ssh-keygen ended with " in text


@pytest.mark.slow
def test_rebuild_compares_with_what_the_project_gives(packed):
    """By the arches and the proof that its statement names."""
    wheel = f"build/dist/{WHEEL}"
    environment = {**packed.place()["env"], "EBPF_VENV": str(ROOT / ".venv"), "SCONS_PLACE": "x"}
    status, text = verify(packed.folder, wheel, "--rebuild", "--offline", **environment)
    assert status == 0 and "SAME     1 output, byte for byte" in text, text
    packed.edit("src/one.bpf.c", "char LICENSE", "int unused_by_all = 7;\nchar LICENSE")
    status, text = verify(packed.folder, wheel, "--rebuild", "--offline", **environment)
    assert status == 1 and f"FAILED   {WHEEL}: isn't what this project gives; take the commit" in text


def test_the_command_tells_its_options(tmp_path):
    status, text = verify(tmp_path, "--help")
    assert status == 0 and "--signature-check" in text and "--rebuild" in text
    status, text = verify(tmp_path)
    assert status == 2 and "FILE.whl" in text
