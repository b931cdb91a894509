"""BpfImage by real scons: an image that skopeo takes, the same everywhere, made anew when somebody edits it."""

import json
import shutil
import subprocess

import pytest

BOTH = "ARCH=x86_64,aarch64"
IMAGE = """
one = env.BpfProgram("one", "src/one.bpf.c", version="1.2")
Default(env.BpfImage("one", "1.2", one, license="GPL-2.0-only"))
"""


@pytest.fixture
def imaged(declare):
    """The test project with the image of `one` for two arches."""
    project = declare(IMAGE)
    project.build(BOTH)
    return project


def layout(project, name="one"):
    """The files of a layout by their place."""
    folder = project.folder / "build/images" / name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def skopeo(*arguments):
    """What skopeo prints."""
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed (apt install skopeo)")
def test_skopeo_takes_the_image(imaged, tmp_path):
    source = f"oci:{imaged.folder}/build/images/one:1.2"
    for go, arch in (("amd64", "x86_64"), ("arm64", "aarch64")):
        seen = json.loads(skopeo("inspect", "--override-arch", go, source))
        assert (seen["Architecture"], seen["Os"], len(seen["Layers"])) == (go, "linux", 1)
        assert set(json.loads(seen["Labels"]["io.ebpf.programs"]).values()) == {"raw_tracepoint"}
        skopeo("copy", "--override-arch", go, source, f"docker-archive:{tmp_path}/{go}.tar")  # unpacks, and holds diff_ids against it
    skopeo("copy", "--all", source, f"oci:{tmp_path}/copied:1.2")
    ours, theirs = layout(imaged), {path.name for path in (tmp_path / "copied/blobs/sha256").iterdir()}
    referred = {each["digest"].split(":")[1] for each in json.loads(ours["index.json"])["manifests"][1:]}
    assert theirs <= {place.rpartition("/")[2] for place in ours} and not theirs & referred


def test_the_layout_is_the_same_in_another_place(imaged, make_project):
    other = make_project("another/longer/place", fresh=True).declare(IMAGE)
    other.build(BOTH, HOME="/nowhere", LC_ALL="C")
    assert layout(other) == layout(imaged)


def test_an_edited_or_lost_blob_is_made_anew(imaged):
    before = layout(imaged)
    assert imaged.build(BOTH) == set()
    folder = imaged.folder / "build/images/one/blobs/sha256"
    first, second, *_ = sorted(folder.iterdir())
    first.write_bytes(b"{}")
    second.unlink()
    (folder / ("0" * 64)).write_bytes(b"planted")
    assert "images/one/index.json" in imaged.build(BOTH)
    assert layout(imaged) == before


def test_an_edit_of_the_program_leaves_no_blob_of_before(imaged):
    before = layout(imaged)
    imaged.edit("src/one.bpf.c", "char LICENSE", "int counted = 3;\nchar LICENSE")
    imaged.build(BOTH)
    after = layout(imaged)
    assert after["index.json"] != before["index.json"]
    digests = {place.rpartition("/")[2] for place in after if place.startswith("blobs/")}
    assert all(any(digest in data.decode("latin-1") for data in after.values()) for digest in digests)


def test_the_end_of_a_build_tells_it_and_one_of_fewer_platforms_what_is_lost(declare):
    project = declare(IMAGE)
    done = project.scons(BOTH)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("MADE     build/images/one ")]
    assert line.split()[2:] == [f"{round(sum(map(len, layout(project).values())) / 1000)}", "kB"]
    lost = "build/images/one/index.json no longer has aarch64, which the image before it had under the same tag; before you push it"
    assert lost in project.scons("ARCH=x86_64").stderr
    assert "no longer has" not in done.stderr + project.scons(BOTH).stderr, "nothing is lost where one more comes"


def test_clean_removes_the_folder(imaged):
    imaged.build(BOTH, "-c")
    assert not (imaged.folder / "build/images/one").exists()


def test_a_gadget_has_its_metadata(declare):
    project = declare(IMAGE.replace('license="GPL-2.0-only"', 'kind="gadget", metadata="gadget.yaml"'))
    (project.folder / "gadget.yaml").write_text("name: one\n")
    project.build(BOTH)
    assert b"name: one\n" in layout(project).values()
    (project.folder / "gadget.yaml").write_text("name: two\n")
    assert project.build(BOTH) >= {"images/one/index.json"}
    assert b"name: one\n" not in layout(project).values()


@pytest.mark.parametrize("call, said", [
    ('BpfImage("One", "1", one)', "BpfImage: One:1 is no name and tag of an image; take small letters and digits, parted by . _ or -"),
    ('BpfImage("one", "1/2", one)', "BpfImage: one:1/2 is no name and tag of an image"),
    ('BpfImage("one", "1", one, kind="oci")', "BpfImage: kind='oci' is none; take one of bpfman, gadget"),
    ('BpfImage("one", "1", one, metadata="SConstruct")', 'BpfImage: metadata is a gadget\'s; take kind="gadget", or leave it out'),
    ('BpfImage("one", "1", [])', "BpfImage: got no object, and an image is of one program; hand it what one BpfObject or BpfProgram gave"),
    ('BpfImage("one", "1", [one["x86_64"], env.BpfObject("src/two.bpf.c")])', "build/x86_64/two.bpf.o, and an image is of one program"),
    ('BpfImage("one", "1", env.BpfObject("src/two.bpf.c", arch="s390x"), kind="gadget")', "BpfImage: inspektor-gadget runs on x86_64 and aarch64, not on s390x"),
])  # fmt: skip
def test_what_is_no_image_is_told_in_one_line(declare, call, said):
    project = declare(f'one = env.BpfProgram("one", "src/one.bpf.c")\nenv.{call}\n')
    assert said in project.fails("ARCH=x86_64")
