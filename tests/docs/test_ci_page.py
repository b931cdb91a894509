"""docs/ci.md: its YAML is read, and its commands are run, the image's as Docker would: root builds, another user runs."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, examples

sys.path.append(str(ROOT / "tests" / "core"))
from fake_github import FakeGitHub, Link  # noqa: E402

PAGE = ROOT / "docs" / "ci.md"
FILES = {found[1]: each.text for each in examples(PAGE) if (found := re.match(r"# ([\w/.-]+)\n", each.text))}
OTHER = 1000  # the Dockerfile's USER
PROGRAM = """#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
SEC("tracepoint/syscalls/sys_enter_execve")
int on_exec(void *ctx) { return bpf_get_smp_processor_id(); }
"""
SCONSTRUCT = """DefaultEnvironment(tools=[])
env = Environment(tools=["ebpf"], toolpath=["third_party/scons-bpf/site_scons/site_tools"])
env.BpfProgram("execs", "execs.bpf.c", version="1.0", license="GPL-2.0-only")
"""
BUILT = ("build/dist/execs-1.0-py3-none-any.whl", "build/x86_64/execs.bpf.o", "build/aarch64/execs.bpf.o")


def parsed(name):
    """A YAML file of the page."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(FILES[name])


@pytest.fixture
def project(open_folder):
    """A project that uses this checkout, in folders that any user may read."""
    folder = open_folder / "src"
    (folder / "third_party").mkdir(parents=True)
    (folder / "SConstruct").write_text(SCONSTRUCT)
    (folder / "execs.bpf.c").write_text(PROGRAM)
    checkout = folder / "third_party" / "scons-bpf"
    checkout.mkdir()
    for name in ("site_scons", "loader"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "bpf", checkout / "bpf")
    for name in ("sconsw", "SConstruct", "toolchain.toml", "pip.lock", "requirements.lock", "requirements-test.lock"):
        shutil.copy(ROOT / name, checkout / name)
    return folder


def python_for_all():
    """A Python of this one's version, and any user's where there is one."""
    for candidate in ("/usr/bin/python3", sys._base_executable):
        asked = ["-c", "import sys; print(sys.version_info[:2])"]
        who = {"user": OTHER, "group": OTHER, "extra_groups": []} if os.geteuid() == 0 else {}
        try:
            said = subprocess.run([candidate, *asked], capture_output=True, text=True, **who).stdout.strip()
        except OSError:
            continue
        if said == str(sys.version_info[:2]):
            return candidate
    return None


def installed(folder):
    """Makes a venv that has this one's packages, and that `sconsw` takes for installed."""
    python = python_for_all() or sys._base_executable
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python3.*/site-packages")
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (site / "tests.pth").write_text("\n".join(packages) + "\n")
    for lock in ("requirements.lock", "requirements-test.lock"):
        stamp = subprocess.run(["cksum"], stdin=(ROOT / lock).open(), capture_output=True, text=True, check=True)
        (folder / f"{lock}.stamp").write_text(stamp.stdout)


def fetched():
    """The arguments by which a command of the page finds the pinned inputs in a test."""
    mirror = os.environ.get("SCONS_BPF_MIRROR") or str(ROOT.parent / "shared" / "mirror")
    arguments = [f"MIRROR={mirror}"] if "://" in mirror or os.path.isdir(mirror) else []
    return [*arguments, *(["--offline"] if os.environ.get("SCONS_BPF_OFFLINE") == "1" else [])]


def run(command, cwd, environment, **who):
    """Runs a command of the page in a shell, with where the inputs are; skips where they can't be had.

    A command that is `--offline` on the page has to find them all.
    """
    complete = "--offline" in command
    command = re.sub(r"(\S*sconsw) ", lambda found: f"{found[0]}{shlex.join(fetched())} ", command)
    environment = {"PATH": "/usr/bin:/bin", **environment}
    done = subprocess.run(["sh", "-ec", command], cwd=cwd, env=environment, capture_output=True, text=True, **who)
    if not complete and any(said in done.stdout + done.stderr for said in ("can be reached", "connects to nothing")):
        pytest.skip("the pinned headers can't be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def commands_of_github():
    """(environment, commands) of the workflow; GitHub's own expressions are what they stand for here."""
    job = parsed(".github/workflows/bpf.yml")["jobs"]["build"]
    return job["env"], [step["run"] for step in job["steps"] if "run" in step]


def commands_of_gitlab():
    """The same of the job, without what installs packages."""
    job = parsed(".gitlab-ci.yml")["bpf"]
    return job["variables"], [command for command in job["script"] if "apt-get" not in command]


@pytest.mark.slow
@pytest.mark.parametrize("commands", [commands_of_github, commands_of_gitlab])
def test_the_commands_of_a_workflow_build(project, tmp_path, commands):
    variables, lines = commands()
    installed(tmp_path / "venv")
    places = {"${{ github.workspace }}": str(project), "$CI_PROJECT_DIR": str(project)}
    environment = {"EBPF_VENV": str(tmp_path / "venv")}
    for name, value in variables.items():
        for place, path in places.items():
            value = value.replace(place, path)
        environment[name] = value
    for line in lines:
        run(line, project, environment)
    assert (project / ".cache/ebpf/sha256").is_dir() and all((project / path).is_file() for path in BUILT)
    assert not list((project / "third_party/scons-bpf").glob(".venv*"))


def test_what_a_workflow_caches_is_there_and_its_keys_are_files():
    steps = parsed(".github/workflows/bpf.yml")["jobs"]["build"]["steps"]
    keys = [step["with"]["key"] for step in steps if step.get("uses", "").startswith("actions/cache@")]
    named = [name for key in keys for name in re.findall(r"'([^']+)'", key)]
    named += [name for cache in parsed(".gitlab-ci.yml")["bpf"]["cache"] for name in cache["key"]["files"]]
    ours = [name.removeprefix("third_party/scons-bpf/") for name in named if name.startswith("third_party/")]
    assert len(ours) == 5 and all(list(ROOT.glob(name)) for name in ours)


GH = """#!/bin/sh
echo "$@" >> "$GH_CALLS"
case "$2" in view) [ -f "$GH_CALLS.open" ] && echo OPEN || exit 1 ;; create) touch "$GH_CALLS.open" ;; esac
"""


def test_the_job_that_updates_pins_opens_a_pull_request_and_then_edits_it(project, tmp_path):
    steps = [step["run"] for step in parsed(".github/workflows/pins.yml")["jobs"]["update"]["steps"] if "run" in step]
    header = "#ifndef __VMLINUX_H__\n\nstruct pt_regs {\n\tlong orig_ax;\n};\n"
    github = FakeGitHub(tmp_path / "mirror")

    def upstream(text):
        return github.commit({"include/x86_64/vmlinux_6.19.h": text.encode(), "include/x86_64/vmlinux.h": Link("vmlinux_6.19.h")})

    digest, commit = hashlib.sha256(header.encode()).hexdigest(), upstream(header)
    url = f"https://raw.githubusercontent.com/libbpf/vmlinux.h/{commit}/include/x86_64/vmlinux_6.19.h"
    (project / "toolchain.toml").write_text(f'[vmlinux.x86_64]  # ours\nkernel = "6.19"\nurl = "{url}"\nsha256 = "{digest}"\n')
    (project / "SConstruct").write_text(SCONSTRUCT.partition("env.BpfProgram")[0])
    installed(tmp_path / "venv")
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "EBPF_VENV": str(tmp_path / "venv"), "EBPF_CACHE": str(tmp_path / "cache"),
                   "RUNNER_TEMP": str(tmp_path), "GH_CALLS": str(tmp_path / "calls"), "HOME": str(tmp_path)}

    def shell(command):
        command = command.replace("sconsw pins", f"sconsw --offline MIRROR={tmp_path}/mirror pins")
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", command], cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def job():
        for step in steps:
            shell(step)
        calls = (tmp_path / "calls").read_text().split("\n") if (tmp_path / "calls").exists() else []
        (tmp_path / "calls").unlink(missing_ok=True)
        return [" ".join(call.split()[:2]) for call in calls if call]

    shell(f"git init -q -b main . && git config user.name me && git config user.email me@example.org && git add toolchain.toml SConstruct"
          f" && git commit -qm one && git init -q --bare {tmp_path}/origin && git remote add origin {tmp_path}/origin")
    assert job() == []
    upstream(header.replace("long", "int"))
    assert job() == ["pr view", "pr create"]
    assert "# ours" in shell("git show origin/pins-update:toolchain.toml") and (tmp_path / "pins.md").read_text().startswith("### libbpf/vmlinux.h: ")
    shell("git switch -q main")
    upstream(header.replace("long", "short"))
    assert job() == ["pr view", "pr edit"]


def instructions():
    """The Dockerfile's instructions: (word, arguments)."""
    text = FILES["Dockerfile"].replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_the_image_is_made_by_root_and_used_by_another_user(project, open_folder):
    """Its folders /opt/ebpf, /tmp and /src lie in a folder here; packages of the system are not installed.

    One of the project's objects is linked: the image holds what any project with these pins needs.
    """
    if python_for_all() in (None, sys._base_executable) and not os.access("/usr/bin/python3", os.X_OK):
        pytest.skip("there is no Python that another user may run")
    (project / "SConstruct").write_text(SCONSTRUCT + 'env.BpfObject("both", ["execs.bpf.c", "lib.bpf.c"], arch="x86_64")\n')
    (project / "lib.bpf.c").write_text("int more;\n")
    image = open_folder / "image"
    (image / "opt/ebpf").mkdir(parents=True)
    (image / "tmp").mkdir()
    (image / "src").symlink_to(project)
    installed(image / "opt/ebpf/venv")

    def here(text):
        return re.sub(r"(?<![\w.])/(opt/ebpf|tmp|src)\b", rf"{image}/\1", text)

    environment, cwd, user, said = {}, image, {}, ""
    for word, rest in instructions():
        if word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in here(rest).split())
        elif word == "COPY":
            source, target = rest.split()
            shutil.copytree(project / source, here(target))
        elif word == "WORKDIR":
            cwd = Path(here(rest))
        elif word == "USER":
            user = {"user": int(rest), "group": int(rest), "extra_groups": []}
        elif word == "RUN" and "apt-get" not in rest:
            run(here(rest), cwd, environment)
        elif word == "CMD":
            checkout = project / "third_party/scons-bpf"
            shutil.rmtree(checkout / "build", ignore_errors=True)
            before = sorted((path, path.stat().st_mtime_ns) for path in checkout.rglob("*"))
            os.chown(project, OTHER, OTHER)
            said = run(shlex.join(json.loads(rest)), cwd, environment, **user)
            assert before == sorted((path, path.stat().st_mtime_ns) for path in checkout.rglob("*"))
    assert "CLANG " in said and not (image / "tmp/scons-bpf").exists()
    assert all((project / path).stat().st_uid == OTHER for path in BUILT)
