"""^C while an artifact is fetched: SCons waits for its steps, so the step has to see it."""

import signal
import socket
import subprocess
import time

import pytest


@pytest.mark.parametrize("jobs", ["-j1", "-j4"])
def test_an_interrupt_ends_a_build_that_waits_for_a_server(project, jobs):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x86_64.h"
        project.edit("toolchain.toml", 'path = "pins/x86_64.h"', f'url = "{url}"')
        build = project.start(jobs, "ARCH=x86_64", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        silent.accept()
        time.sleep(0.3)
        build.send_signal(signal.SIGINT)
        began = time.monotonic()
        text, _ = build.communicate(timeout=60)
        assert time.monotonic() - began < 15  # a second for the step, the rest for SCons's own end on a busy machine
    assert build.returncode and "nterrupted" in text and "Traceback" not in text
