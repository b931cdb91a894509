"""A process whose first thread has ended (pthread_exit in main) runs on: its probes, symbols and descriptors."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import bpfloader
import pytest
from bpfloader.kernel.holders import holders
from bpfloader.symbols.process import live_thread
from compiling import IN_GUEST
from probed_binary import BINARY

# A thread waits for a line, works five times, and waits again; the first thread ends as soon as that one has begun.
THREADED = BINARY.partition("int main(")[0].replace("#include <stdlib.h>", "#include <pthread.h>\n#include <stdio.h>") + """
static void *run(void *unused)
{
    while (printf("%p\\n", (void *)work), fflush(stdout), getchar() != EOF)
        for (int i = 0; i < 5; i++) { work(i); probe(); }
    return NULL;
}
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, run, NULL);
    pthread_exit(NULL);
}
"""
EXIT = {"x86_64": 60, "aarch64": 93, "riscv64": 93, "loongarch64": 93}  # exit(2), of the calling thread: asm/unistd.h
# Holds what is open in another thread than its first one.
HOLDER = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
ctypes.CDLL(None).syscall(%d, 0)
"""


@pytest.fixture(scope="module")
def program(cc, tmp_path_factory) -> Path:
    if IN_GUEST:
        pytest.skip("a guest has no compiler")
    path = tmp_path_factory.mktemp("threads") / "threads"
    subprocess.run([*cc, "-O1", "-x", "c", "-", "-o", path, "-lpthread"], input=THREADED, text=True, check=True)
    return path


def first_thread_ends(pid: int) -> None:
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.001)


@contextlib.contextmanager
def running(*words, **options):
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        yield process
        process.kill()


@pytest.fixture
def threads(program, kernel):
    """The process, and where its function `work` is."""
    with running(program) as process:
        address = int(process.stdout.readline(), 16)
        first_thread_ends(process.pid)
        yield process, address


def works(process) -> None:
    """Lets the thread work, until it waits again."""
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()


def test_its_functions_have_names(threads):
    process, address = threads
    assert bpfloader.user_symbol(address, process.pid) == "work+0x0 [threads]"
    symbols = bpfloader.UserSymbols()
    symbols.remember(process.pid)
    process.kill()
    process.wait()
    assert symbols.symbol(address, process.pid) == "work+0x0 [threads]"


def test_a_uprobe_sees_its_other_threads(start, threads, program, recwarn):
    bpf = start("on_uprobe")
    bpf.progs.on_uprobe.attach(program, "work", pid=threads[0].pid)
    works(threads[0])
    assert bpf.bss.hits == 5 and not recwarn.list


@pytest.mark.parametrize("name", ["on_usdt", "on_uprobe_multi"])
def test_a_probe_that_the_kernel_refuses_is_told_as_such(name, start, attached, threads, program):
    """libbpf 1.4 and newer place static probes by uprobe.multi, which takes a process by its first thread alone."""
    process, bpf = threads[0], attached(start, name)
    target = ("tests", "beat") if name == "on_usdt" else ("work",)
    try:
        bpf.progs[name].attach(program, *target, pid=process.pid)
    except bpfloader.AttachError as error:
        assert f"the first thread of process {process.pid} has ended" in error.what
        assert "attach without pid" in error.fix
    else:
        works(process)
        assert bpf.bss.hits == 5


def test_a_thread_in_the_place_of_its_process_is_told(start, attached, threads, program):
    thread, bpf = live_thread(threads[0].pid), attached(start, "on_uprobe_multi")
    assert thread != threads[0].pid
    with contextlib.suppress(bpfloader.AttachError):  # the first kernels with uprobe.multi took a thread's
        with pytest.raises(bpfloader.AttachError, match=f"{thread} is a thread of process {threads[0].pid}; give"):
            bpf.progs.on_uprobe_multi.attach(program, "work", pid=thread)


def test_what_it_holds_is_shown(start):
    bpf = start("on_uprobe")
    fd = os.dup(bpf.progs.on_uprobe.fd)
    number = EXIT.get(os.uname().machine, 1)
    with running(sys.executable, "-c", HOLDER % number, pass_fds=[fd]) as process:
        first_thread_ends(process.pid)
        assert process.pid in dict(holders().programs[bpf.progs.on_uprobe.info.id])
    os.close(fd)
