"""The clang of another kind of host, an aarch64 machine's run by qemu-user, gives the same objects and the same wheel."""

import shutil
import subprocess
import sys
import zipfile

import pytest
from scons_project import ROOT, is_paper

from ebpfbuild.python_lock import read_lock

pytestmark = pytest.mark.slow  # it fetches a wheel of 98 MB

QEMU = shutil.which("qemu-aarch64-static")
# A binfmt_misc of its own, which a user namespace may have from Linux 6.7 on, has the kernel start them by qemu.
EMULATED = f"""
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
magic='\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00'
mask='\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff'
printf %s ":aarch64:M::$magic:$mask:{QEMU}:F" >/proc/sys/fs/binfmt_misc/register
exec "$@"
"""
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-e", "-c", EMULATED, "sh"]
SCONS = "import sys; sys.path.insert(0, sys.argv.pop(1)); from SCons.Script.Main import main; main()"


@pytest.fixture(scope="module")
def other_clang(tmp_path_factory):
    """The folder with the locked compiler's package for aarch64; skips where it can't be run."""
    if not QEMU:
        pytest.skip("no qemu-aarch64-static: apt-get install qemu-user-static")
    folder = tmp_path_factory.mktemp("aarch64")
    (folder / "lock.txt").write_text(read_lock(ROOT / "requirements.lock").package("ziglang").requirement)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    got = subprocess.run([*pip, "--platform=manylinux2014_aarch64", "-d", folder, "-r", folder / "lock.txt"], capture_output=True, text=True)
    if got.returncode:
        pytest.skip(f"pip brings no wheel for aarch64: {got.stderr.strip().splitlines()[-1]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    zig = folder / "ziglang/zig"
    zig.chmod(0o755)
    run = subprocess.run([*NAMESPACE, zig, "clang", "--version"], capture_output=True, text=True)
    if run.returncode:
        pytest.skip(f"nothing of another machine can be run here: {run.stderr.strip()}")
    assert "aarch64" in run.stdout
    return folder


def test_objects_skeletons_and_packages_are_the_same_bytes(make_project, other_clang):
    """Of the papers beside a package only the statement differs, which names the compiler that this machine ran."""
    here, there = make_project("here"), make_project("there")
    there.command = (*NAMESPACE, sys.executable, "-I", "-c", SCONS, str(other_clang), "-Q")
    for project in (here, there):
        done = project.scons("ARCH=x86_64,aarch64,s390x", "SANDBOX=off")
        assert done.returncode == 0, done.stdout + done.stderr
    ours, theirs = here.digests(), there.digests()
    differ = {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}
    assert len(ours) > 20 and all(is_paper(here.folder / path) and not path.endswith(".cdx.json") for path in differ), differ
