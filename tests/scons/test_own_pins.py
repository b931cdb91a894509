"""A project's toolchain.toml that holds only what differs; the rest is that of the tool's checkout."""

import hashlib
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def projects(make_project, tmp_path):
    """A project, and the checkout of the tool that it uses, whose toolchain.toml pins small files."""
    checkout = tmp_path / "checkout"
    for name in ("site_scons", "loader"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", checkout)  # a release is held against it
    project = make_project("project", tool=checkout, fresh=True)
    shutil.move(project.folder / "toolchain.toml", checkout / "toolchain.toml")
    shutil.copytree(project.folder / "pins", checkout / "pins")
    project.edit("SConstruct", '("one", "two", "three")', '("one",)')
    return project, checkout


def own_header(project, name="own.h", member="int ours;"):
    """Gives the project a header of its own for x86_64, and a toolchain.toml with that alone."""
    data = (project.folder / "pins/x86_64.h").read_text().replace("int tgid;", f"int tgid;\n\t{member}")
    (project.folder / name).write_text(data)
    digest = hashlib.sha256(data.encode()).hexdigest()
    (project.folder / "toolchain.toml").write_text(f'[vmlinux.x86_64]\nkernel = "6.1"\npath = "{name}"\nsha256 = "{digest}"\n')
    return data


@pytest.mark.slow
def test_only_what_differs_is_the_project_s(projects):
    project, checkout = projects
    project.build("ARCH=x86_64,aarch64")
    data = own_header(project)
    made = project.build("ARCH=x86_64,aarch64")
    assert "x86_64/include/vmlinux.h" in made and not [path for path in made if path.startswith("aarch64/")]
    assert (project.folder / "build/x86_64/include/vmlinux.h").read_text() == data
    assert project.build("ARCH=x86_64,aarch64") == set()
    assert "x86_64/one.proof.json" in project.build("ARCH=x86_64,aarch64", "RELEASE=1")
    done = project.scons("pins")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "  toolchain.toml:1 " in lines["vmlinux.x86_64"] and "(instead of ../checkout/toolchain.toml:" in lines["vmlinux.x86_64"]
    assert " ../checkout/toolchain.toml:1 " in lines["compiler"] and " ../checkout/toolchain.toml:" in lines["vmlinux.aarch64"]


@pytest.mark.slow
def test_a_change_in_the_checkout_s_file_rebuilds_what_it_affects(projects):
    project, checkout = projects
    own_header(project)
    project.build("ARCH=x86_64,aarch64")
    with open(checkout / "toolchain.toml", "a") as file:
        file.write('\n[clang]\ncflags = ["-DNEW=1"]\n')
    assert {"x86_64/one.bpf.o", "aarch64/one.bpf.o"} <= project.build("ARCH=x86_64,aarch64")
    with open(project.folder / "toolchain.toml", "a") as file:
        file.write("\n[clang]\ncflags = []\n")
    assert {"x86_64/one.bpf.o", "aarch64/one.bpf.o"} <= project.build("ARCH=x86_64,aarch64")


@pytest.mark.slow
def test_a_release_takes_no_alternate_of_the_checkout_s(projects):
    project, checkout = projects
    text = (checkout / "toolchain.toml").read_text()
    digest = hashlib.sha256((checkout / "pins/x86_64.h").read_bytes()).hexdigest()
    text = text.replace('path = "pins/x86_64.h"', 'url = "https://example.invalid/vmlinux.h"').replace(digest, "0" * 64)
    alternate = f'[[vmlinux.x86_64.alternate]]\nkernel = "6.0"\npath = "pins/x86_64.h"\nsha256 = "{digest}"\n'
    (checkout / "toolchain.toml").write_text(f"{text}\n{alternate}")
    (project.folder / "toolchain.toml").write_text("[clang]\ncflags = []\n")
    assert "x86_64/include/vmlinux.h" in project.build("ARCH=x86_64", "build/x86_64/include/vmlinux.h")
    text = project.fails("ARCH=x86_64", "RELEASE=1", "build/x86_64/include/vmlinux.h")
    assert "../checkout/toolchain.toml:" in text and "RELEASE=1 takes no alternate" in text


def test_kernels_of_the_checkout_s_are_nobody_s(projects):
    """Nobody declared them for this project: they are neither checked, booted nor listed."""
    project, checkout = projects
    digest = hashlib.sha256((project.folder / "pins/x86_64.h").read_bytes()).hexdigest()
    with open(checkout / "toolchain.toml", "a") as file:
        file.write(f'\n[kernels.sample]\narch = "x86_64"\nkernel = "6.1"\nuname = "6.1"\npath = "pins/x86_64.h"\nsha256 = "{digest}"\n')
        file.write("\n[guests.x86_64]\n" + "".join(f'"pool/{name}_1_amd64.deb" = "{digest}"\n' for name in ("busybox", "libc6")))
    said = "no kernel of x86_64 is declared; add a table [kernels.NAME] to the project's toolchain.toml, or ask"
    assert said in project.fails("ARCH=x86_64", "kernels")
    data = project.scons("pins", "--json").stdout
    assert "kernels." not in data and "guests." in data
    short, full = project.scons("pins").stdout, project.scons("pins", "--all").stdout
    assert "guests." in full and "left out" not in full and "guests." not in short
    assert short.endswith("\npackages of the tool's own guests, left out: 2; pins --all lists them, too\n")
    assert [line.split()[0] for line in short.splitlines()[1:4]] == ["vmlinux.x86_64", "vmlinux.aarch64", "vmlinux.s390x"], "in the order of use"
    (project.folder / "toolchain.toml").write_text((checkout / "toolchain.toml").read_text())
    assert "kernels.sample" in project.scons("pins", "--json").stdout


def test_each_environment_s_pins_are_listed(projects):
    project, _ = projects
    own_header(project)
    shutil.move(project.folder / "toolchain.toml", project.folder / "other.toml")
    project.edit("SConstruct", "env = ", 'other = Environment(tools=["ebpf"], toolpath=[os.environ["TOOLPATH"]], '
                 'EBPF_TOOLCHAIN="other.toml", EBPF_BUILD="build/other")\nenv = ')
    done = project.scons("pins")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\ncompiler") + done.stdout.startswith("compiler") == 2
    assert " other.toml:1 " in done.stdout
