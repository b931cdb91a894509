"""One process at a time holds a folder, until it ends or becomes another program."""

import os
import subprocess
import sys
from pathlib import Path

SITE = str(Path(__file__).resolve().parents[3] / "site_scons")
HOLD = "import sys, os, time; from ebpfbuild.rebuild.tree_lock import TreeLock; print(TreeLock(sys.argv[1], print).waited, flush=True); "


def started(folder, then):
    return subprocess.Popen([sys.executable, "-u", "-c", HOLD + then, folder], env={"PYTHONPATH": SITE}, stdin=-1, stdout=-1, text=True)


def test_a_second_one_waits_for_the_end_of_the_first(tmp_path):
    with started(tmp_path, "sys.stdin.read()") as first:
        assert first.stdout.readline() == "False\n"
        with started(tmp_path, "") as second:
            assert second.stdout.readline() == f"waiting for another build in {tmp_path} (process {first.pid})\n"
            first.stdin.close()
            assert second.stdout.readline() == "True\n"


def test_a_program_that_the_process_becomes_holds_nothing(tmp_path):
    with started(tmp_path, 'os.execv("/bin/cat", ["cat"])') as first:
        assert first.stdout.readline() == "False\n"
        with started(tmp_path, "") as second:
            assert second.stdout.read().endswith(("True\n", "False\n"))
        first.stdin.close()


def test_one_that_the_holder_started_is_refused(tmp_path):
    inner = f"import subprocess; subprocess.run([sys.executable, '-c', {HOLD!r}, sys.argv[1]], stderr=subprocess.STDOUT)"
    with started(tmp_path, inner) as first:
        assert "LockError" in first.stdout.read()


def test_a_folder_that_is_not_there_is_not_held(tmp_path):
    with started(os.path.join(tmp_path, "none"), "") as only:
        assert only.stdout.read() == "False\n"
