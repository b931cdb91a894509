"""docs/release.md: its files are built and its commands run, in their order, as a reader would."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, examples, write_files

PAGE = ROOT / "docs" / "release.md"
COMMANDS = [each for each in examples(PAGE) if each.language == "sh"]
# Stand-ins: for what signs by a key in a cloud, which writes what it was given to sign, and for what needs a registry.
ORAS = '#!/bin/sh\n[ "$1 $2 $3" = "cp --recursive --from-oci-layout" ] && [ -f "${4%:*}/oci-layout" ]\n'
COSIGN = '#!/bin/sh\n[ "$1" = sign-blob ] || exit 2\nfor last; do :; done\ncp "$last" "$last.bundle"\n'


def fetched():
    """The arguments by which a command of the page finds the pinned inputs in a test."""
    mirror = os.environ.get("SCONS_BPF_MIRROR") or str(ROOT.parent / "shared" / "mirror")
    arguments = [f"MIRROR={mirror}"] if "://" in mirror or os.path.isdir(mirror) else []
    return [*arguments, *(["--offline"] if os.environ.get("SCONS_BPF_OFFLINE") == "1" else [])]


def with_inputs(command):
    """A command of the page with where the inputs are; what builds nothing needs none."""
    builds = "sconsw" in command and ("verify-release" not in command or "--rebuild" in command)
    return f"{command} {shlex.join(fetched())}" if builds else command


def run(command, folder, environment):
    """Runs a line of the page in a shell, and returns what it printed; skips where the inputs can't be had."""
    done = subprocess.run(["sh", "-ec", with_inputs(command)], cwd=folder, env=environment, capture_output=True, text=True)
    text = done.stdout + done.stderr
    if any(said in text for said in ("can be reached", "connects to nothing")):
        pytest.skip("the pinned headers can't be reached")
    assert done.returncode == 0, f"{command}\n{text}"
    return text


def checks(text):
    """The lines about checks, without numbers and places."""
    lines = [line for line in text.splitlines() if line.startswith(("ok ", "SKIPPED ", "VERIFIED "))]
    return [re.sub(r"sha256 \S+:|\d+|(?<= of ).*toolchain.toml", "…", line) for line in lines]


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (apt install openssh-client)")
@pytest.mark.slow
def test_each_command_does_what_the_page_says(tmp_path):
    folder, tools = tmp_path / "project", tmp_path / "bin"
    write_files(PAGE, folder)
    tools.mkdir()
    stands_in = {"cosign": COSIGN, "oras": ORAS, **({} if shutil.which("skopeo") else {"skopeo": "#!/bin/sh\n"})}
    for name, text in stands_in.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    known = {name: os.environ[name] for name in ("HOME", "EBPF_CACHE", "XDG_CACHE_HOME") if name in os.environ}
    environment = {**known, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": sys.executable}
    said = {}
    for each in COMMANDS:
        for command in each.text.replace("\\\n", "").splitlines():
            said[command] = run(command, folder, environment)
    wheel = folder / "build/dist/execs-1.0-py3-none-any.whl"
    assert (folder / "rootfs/aarch64.tar").is_file() and (folder / "rootfs/x86_64/usr/lib/bpf/execs.bpf.o").is_file()
    assert Path(f"{wheel}.intoto.json.sig").read_text().startswith("-----BEGIN SSH SIGNATURE-----")
    assert Path(f"{wheel}.intoto.json.bundle").read_bytes() == Path(f"{wheel}.intoto.json").read_bytes()
    verified = [text for command, text in said.items() if "verify-release" in command]
    assert all(f"VERIFIED {wheel.name} sha256 " in text for text in verified)
    assert checks(re.search(r"^```\n(ok .*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]) == checks(verified[0])
