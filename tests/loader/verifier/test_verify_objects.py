"""`python -m bpfloader verify`: figures of the verifier by program, against the kernel's own, veristat's and a baseline."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile

import bpfloader
import pytest
from bpfloader.__main__ import main
from bpfloader.arch import this_arch
from bpfloader.kernel.host import kernel_is_before
from bpfloader.verifier.verify import objects_of, verifier_log, verify


@pytest.fixture(scope="session")
def probe_path(folder):
    return str(folder / "probe.bpf.o")


@pytest.fixture(scope="session")
def found(probe_path, kernel):
    """The figures of the probe's programs by name."""
    return {each.program: each for each in verify(probe_path, lines=2)}


def verified(capsys, *arguments):
    """Returns the exit status of the command, and what it printed."""
    status = main(["verify", *arguments])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_each_program_has_the_figures_of_the_kernel(found, opened):
    opened.load(log_level=4)
    for program in opened.progs:
        if program.autoload:
            mine = found[program.name]
            assert mine.verdict == "loaded" and mine.type == program.info.type
            assert mine.figures.insns == program.verifier.insns == program.info.verified_insns
            assert mine.figures[:6] == program.verifier[:6] and mine.figures.insns >= program.info.instructions / 2
            assert (mine.xlated_size, mine.jited_size) == (program.info.xlated_size, program.info.jited_size)
    # Programs that are off at first are verified too.
    assert {*found} == {program.name for program in opened.progs} > {each.name for each in opened.progs if each.autoload}


def test_a_refused_program_says_why_and_how_far_the_verifier_came(found):
    refused = found["refused"]
    assert (refused.verdict, refused.figures.insns > 0) == ("refused", True) and "refuses it (EACCES" in refused.reason
    assert "mem access 'scalar'" in refused.reason or "mem access 'inv'" in refused.reason
    assert found["nowhere"].figures is None and "refuses it (ESRCH" in found["nowhere"].reason


def test_the_most_visited_lines_have_their_place(found):
    lines = found["fill"].lines
    assert len(lines) == 2 and lines[0].visits >= lines[1].visits >= 1
    source = [each.split("//")[0].strip() for each in open("tests/testdata/loader/probe.bpf.c").read().splitlines()]
    for line in lines:
        file, number = line.place.rsplit(":", 1)
        assert file.endswith("probe.bpf.c") and source[int(number) - 1] == line.text


def test_they_are_veristat_s(found, probe_path):
    veristat = shutil.which("veristat") or pytest.skip("veristat is not installed")
    columns = "prog,verdict,insns,states,peak_states,max_states_per_insn,mark_read,stack"
    done = subprocess.run([veristat, "-o", "csv", "-e", columns, probe_path], capture_output=True, text=True)
    for row in csv.DictReader(io.StringIO(done.stdout)):
        mine = found[row["prog_name"]]
        assert (row["verdict"] == "success") == (mine.verdict == "loaded")
        if mine.figures:
            names = "total_insns total_states peak_states max_states_per_insn max_mark_read_len stack_depth".split()
            assert list(mine.figures[:6]) == [int(row[name]) for name in names]


def test_a_refusal_with_a_log_asked_for_says_the_same(skel, kernel):
    said = []
    for level in (0, 4, 2):
        with skel.Probe.open() as probe:
            probe.select(["emit", "refused"])
            with pytest.raises(bpfloader.VerifierError) as caught:
                probe.load(log_level=level)
            said.append((caught.value.program, caught.value.fix, caught.value.errno))
            assert "mem access" in caught.value.what and caught.value.log
    assert said[0] == said[1] == said[2]


def test_figures_need_a_log(loaded):
    with pytest.raises(bpfloader.StateError, match=r"emit was loaded without the verifier's log; load the object by"):
        loaded.progs.emit.verifier  # noqa: B018
    with pytest.raises(bpfloader.StateError, match="the program refused is not loaded"):
        loaded.progs.refused.verifier_log  # noqa: B018


def test_a_log_without_statistics_has_no_figures(opened):
    opened.select(["emit"])
    opened.load(log_level=2)
    assert "; event->number = next_number++;" in opened.progs.emit.verifier_log
    assert opened.progs.emit.verifier.insns  # those of level 2 have it all the same


def test_no_map_is_pinned(skeleton_module, kernel):
    """A map of testbed.bpf.c is pinned by name."""
    path = os.path.join(os.path.dirname(skeleton_module("testbed").__file__), "testbed.bpf.o")
    assert any(each.verdict == "loaded" for each in verify(path))
    assert not os.path.exists("/sys/fs/bpf/kept")


def test_a_wheel_and_a_module(compiled, folder, tmp_path, monkeypatch, capsys):
    wheel = tmp_path / "probe-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"probe/{this_arch()}/probe.bpf.o", compiled)
        archive.writestr("probe/other/probe.bpf.o", b"of another machine")
    assert [*objects_of(wheel)] == [f"probe/{this_arch()}/probe.bpf.o"]
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "probe_skel", raising=False)
    for source in (wheel, "probe_skel"):
        status, said = verified(capsys, str(source), "--program", "emit")
        assert status == 0 and "1 of 1 programs load on Linux" in said
    assert verified(capsys, "json") == (2, "bpfloader: the module json has no skeleton; name the module that the build generated\n")
    assert "no module that can be imported" in verified(capsys, "no_such_module")[1]
    assert verified(capsys, "a/b.o")[1] == "bpfloader: a/b.o is no file; give the path of an object, a wheel or a tar\n"


def test_a_package_s_skeletons_are_its_modules(folder, tmp_path, monkeypatch):
    package = tmp_path / "tool"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in ("probe_skel.py", "probe.bpf.o"):
        shutil.copy(folder / name, package)
    monkeypatch.syspath_prepend(tmp_path)
    assert [*objects_of("tool")] == ["probe.bpf.o"]


def test_a_wheel_for_other_machines_is_refused(tmp_path, compiled):
    with zipfile.ZipFile(tmp_path / "one.whl", "w") as archive:
        archive.writestr("one/riscv/probe.bpf.o", compiled)
    with pytest.raises(bpfloader.ObjectError, match=r"one.whl has no object for this machine \(\w+\); it holds riscv"):
        objects_of(tmp_path / "one.whl")


def test_a_libbpf_that_is_too_old_for_a_program_refuses_that_alone(probe_path, monkeypatch, kernel):
    needed = {"xdp": "99.0"}
    monkeypatch.setattr("bpfloader.object.bpf_object.libbpf_needed", lambda section: needed.get(section, "1.0"))
    found = {each.program: each for each in verify(probe_path, ["pass", "emit"])}
    assert (found["emit"].verdict, found["pass"].verdict) == ("loaded", "refused") and "has no SEC" in found["pass"].reason


def test_an_object_that_libbpf_cannot_open_is_named(compiled, tmp_path, capsys):
    (tmp_path / "cut.bpf.o").write_bytes(compiled[:500])
    status, said = verified(capsys, str(tmp_path / "cut.bpf.o"))
    assert status == 2 and said.startswith("bpfloader: cut.bpf.o ")
    (tmp_path / "old.bpf.o").write_bytes(compiled.replace(b"\0.maps\0", b"\0maps\0\0"))
    status, said = verified(capsys, str(tmp_path / "old.bpf.o"))
    assert status == 2 and "old.bpf.o" in said.splitlines()[0]


def test_a_misspelt_program_is_named(probe_path):
    with pytest.raises(KeyError, match="no program emitt; nearest: emit"):
        verify(probe_path, ["emitt"])


def test_the_whole_log_and_the_exit_status(probe_path, capsys):
    status, said = verified(capsys, probe_path, "-v", "--program", "refused")
    assert status == 1 and "the verifier's log of refused\n" in said and "; return *(volatile __u64 *)" in said
    assert said.endswith(f"0 of 1 programs load on Linux {os.uname().release}\n")
    assert verified(capsys, probe_path, "--program", "emit")[0] == 0
    assert "processed " in verifier_log(open(probe_path, "rb").read(), "probe", "emit")


@pytest.fixture
def baseline(probe_path, capsys, tmp_path):
    """A function: edits of the rows by program -> the path of a baseline of three programs."""
    names = "emit", "fill", "refused"

    def write(**edits):
        _, said = verified(capsys, probe_path, "--json", *(word for name in names for word in ("--program", name)))
        told = json.loads(said)
        for row in told["programs"]:
            row.update(edits.get(row["program"], {}))
        (tmp_path / "base.json").write_text(json.dumps(told))
        return str(tmp_path / "base.json")

    write.programs = [word for name in names for word in ("--program", name)]
    return write


@pytest.mark.parametrize(
    "edits, limit, status, says",
    [
        ({}, "0%", 0, "Against the baseline, 0 of 3 programs differ\nno program got dearer"),
        ({"emit": {"insns": 1}}, "20%", 2, "emit got dearer: insns 1 -> "),
        ({"emit": {"insns": 1}}, "10000", 0, "no program got dearer"),
        ({"emit": {"total_states": 0}}, "20%", 2, "emit got dearer: total_states 0 -> "),
        ({"emit": {"insns": 100000}}, "0", 0, "100000 -> "),  # cheaper: told, and no fault
        ({"refused": {"verdict": "loaded"}}, "20%", 2, "refused got dearer: is refused now"),
        ({"emit": {"duration_us": 0, "memlock": 0}}, "0%", 0, "0 of 3"),  # of another moment, no cost of the program
        ({"emit": {"program": "gone"}}, "20%", 0, "  emit"),
    ],
)
def test_against_a_baseline(probe_path, baseline, capsys, edits, limit, status, says):
    path = baseline(**edits)
    done, said = verified(capsys, probe_path, "--compare", path, "--limit", limit, *baseline.programs)
    assert done == status and says in said
    if status == 2 and "emit" in edits:
        assert "the lines of emit that the verifier visits most" in said
    told = json.loads(verified(capsys, probe_path, "--compare", path, "--limit", limit, *baseline.programs, "--json")[1])
    assert bool(told["dearer"]) == (status == 2)


def test_a_recorded_baseline_has_nothing_of_the_moment(probe_path, tmp_path, capsys):
    path = tmp_path / "base.json"
    asked = probe_path, "--program", "emit"
    for _ in range(2):
        status, said = verified(capsys, *asked, "--record", str(path))
        assert status == 0 and "1 of 1 programs load" in said
        head, columns, line = path.read_text().splitlines()
        row = dict(zip(columns[2:].split("  "), line.split("\t")))
        assert (row["kernel"], row["verdict"]) == (os.uname().release, "loaded") and int(row["insns"]) > 1 and "stack_depth" in row
    assert verified(capsys, *asked, "--compare", str(path), "--limit", "0")[0] == 0
    assert [each.name for each in tmp_path.iterdir()] == ["base.json"]
    assert verified(capsys, *asked, "--record", str(tmp_path / "no" / "base.json"))[0] == 2


def test_files_of_one_name_are_told_apart(probe_path, compiled, tmp_path, capsys):
    other = tmp_path / "probe.bpf.o"
    other.write_bytes(compiled)
    _, said = verified(capsys, probe_path, str(other), "--program", "emit", "--json")
    assert [row["object"] for row in json.loads(said)["programs"]] == [f"probe.bpf.o of {path}" for path in (probe_path, other)]


def test_programs_that_are_new_and_gone_are_told(probe_path, baseline, capsys):
    path = baseline(emit={"program": "before"})
    status, said = verified(capsys, probe_path, "--compare", path)
    rows = {line.split()[0]: line.split()[-1] for line in said.partition("Against the baseline")[2].splitlines() if line[:2] == "  "}
    assert status == 0 and rows["before"] == "gone" and rows["emit"] == rows["on_enter"] == "new"


def rows_of(path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def measured(tmp_path, kernel, insns, arch="riscv64", **more) -> str:
    """The path of a file as --json prints it, of one program."""
    path = tmp_path / f"{kernel}-{insns}.json"
    row = {"object": "x.bpf.o", "program": "p", "verdict": "loaded", "insns": insns, **more}
    path.write_text(json.dumps({"format": 1, "arch": arch, "kernel": kernel, "programs": [row]}))
    return f"--measured={path}"


def test_figures_of_other_machines_are_kept_and_compared_by_kernel(tmp_path, capsys):
    base = tmp_path / "verifier-figures.txt"
    two = measured(tmp_path, "6.1.0-50-cloud-arm64", 100), measured(tmp_path, "6.12.117+deb13-arm64-16k", 200, total_states=9)
    assert verified(capsys, *two, "--record", str(base))[0] == 0
    assert rows_of(base) == ["x.bpf.o\tp\triscv64\t6.1.0-50-cloud-arm64\tloaded\t100\t-\t-\t-", "x.bpf.o\tp\triscv64\t6.12.117+deb13-arm64-16k\tloaded\t200\t9\t-\t-"]
    cases = [
        ("6.1.0-50-cloud-arm64", 119, "riscv64", 0, "1 of 1 programs differ"),
        ("6.1.0-50-cloud-arm64", 120, "riscv64", 2, "p got dearer: insns 100 -> 120"),
        ("6.1.0-56-cloud-arm64", 120, "riscv64", 2, "The baseline is of Linux 6.1.0-50-cloud-arm64"),
        ("6.1.0-50-cloud-arm64", 900, "x86_64", 0, "the baseline has no figures of such a kernel"),
        ("6.12.117+deb13-cloud-arm64", 900, "riscv64", 0, "the baseline has no figures of such a kernel"),
    ]
    for kernel, insns, arch, status, says in cases:
        assert (found := verified(capsys, measured(tmp_path, kernel, insns, arch), "--compare", str(base)))[0] == status and says in found[1], kernel
    assert verified(capsys, measured(tmp_path, "6.1.0-50-cloud-arm64", 120), "--compare", str(base), "--limit", "21")[0] == 0
    verified(capsys, measured(tmp_path, "6.1.0-56-cloud-arm64", 130), "--record", str(base))
    assert [line.split("\t")[3:6] for line in rows_of(base)] == [["6.1.0-56-cloud-arm64", "loaded", "130"], ["6.12.117+deb13-arm64-16k", "loaded", "200"]]
    assert verified(capsys, *two, "--json")[1].endswith("--measured: goes with --compare, --record and --limit alone\n")
    base.write_text("x\ty\n")
    assert verified(capsys, *two, "--record", str(base)) == (2, f"bpfloader: {base}:1 is no line of verifier figures; remove that line\n")
    assert base.read_text() == "x\ty\n"


GOOD = ["x.bpf.o", "p", "arm", "6.1", "loaded", "1", "2", "-", "3"]


@pytest.mark.parametrize("column, text", [(0, ""), (1, "a\tb"), (3, ""), (4, "maybe"), (5, "x"), (5, "-1"), (6, "9" * 30), (8, ""), (8, "1\t2")])
def test_a_line_that_is_no_figure_is_named(tmp_path, capsys, column, text):
    base = tmp_path / "f.txt"
    base.write_text("# a comment\n\n" + "\t".join([*GOOD[:column], text, *GOOD[column + 1 :]]) + "\n")
    status, said = verified(capsys, measured(tmp_path, "6.1", 1), "--compare", str(base))
    assert (status, said) == (2, f"bpfloader: {base}:3 is no line of verifier figures; remove that line\n")


def test_a_program_with_two_lines_that_differ_is_named(tmp_path, capsys):
    """As git leaves it that merges line by line: the one that is taken might hide what got dearer."""
    base = tmp_path / "f.txt"
    other = [*GOOD[:5], "7", *GOOD[6:]]
    base.write_text("".join("\t".join(line) + "\n" for line in (GOOD, GOOD, other)))
    status, said = verified(capsys, measured(tmp_path, "6.1", 1), "--compare", str(base))
    assert (status, said) == (2, f"bpfloader: {base}:3 has other figures of p than a line before it; remove one of the two\n")


def test_the_only_kernel_of_a_baseline_is_that_of_all(tmp_path, capsys):
    base = tmp_path / "f.txt"
    verified(capsys, measured(tmp_path, "6.1.0", 100), "--record", str(base))
    status, said = verified(capsys, measured(tmp_path, "6.18.1", 130), "--compare", str(base))
    assert status == 2 and "The baseline is of Linux 6.1.0; kernels differ in their figures" in said


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', '{"format": 1, "kernel": "6", "programs": [1]}',
                                  '{"format": 1, "kernel": "6", "programs": [{"object": "a", "program": "b"}]}',
                                  '{"format": 1, "kernel": "6", "programs": [{"object": 1, "program": [], "insns": 1}]}',
                                  '{"format": 1, "kernel": "6", "programs": [{"object": "a", "program": "b", "insns": "1",'
                                  ' "total_states": 1, "verdict": ""}]}', "[" * 100000])  # fmt: skip
def test_a_file_that_is_no_baseline(probe_path, tmp_path, capsys, text):
    (tmp_path / "base.json").write_text(text)
    status, said = verified(capsys, probe_path, "--compare", str(tmp_path / "base.json"), "--program", "emit")
    assert (status, said) == (2, f"bpfloader: {tmp_path}/base.json holds no figures of verify; write one by verify --record\n")


@pytest.mark.parametrize("limit", ["", "x", "-1", "20%%", "1e3", "99999%", "nan"])
def test_a_limit_that_is_none(probe_path, capsys, limit):
    status, said = verified(capsys, probe_path, f"--limit={limit}")
    assert (status, said) == (2, f"bpfloader: {limit!r} is no limit; give percents, such as 20%\n")


def test_lines_that_are_counted_in_the_end_of_a_log_are_told_as_such(probe_path, capsys, monkeypatch):
    """veristat takes as much as the kernel gives, and counts more visits of a large program."""
    if kernel_is_before("6.4"):
        pytest.skip("this kernel refuses a load whose log finds no room")
    assert json.loads(verified(capsys, probe_path, "--program", "emit", "--lines", "1", "--json")[1])["programs"][0]["lines_whole"]
    monkeypatch.setattr("bpfloader.libbpf.program_log.LOG_SIZE", 1024)
    told = verified(capsys, probe_path, "--program", "emit", "--lines", "1")[1]
    assert "the lines of emit that the verifier visits most, in the last" in told
