"""Source lines in a verifier's log get file and number from the object, also where the kernel tells the text alone."""

import re
import subprocess

import bpfloader
import pytest
from bpfloader.diagnose import refusal
from bpfloader.diagnose.source_places import with_places
from bpfloader.diagnose.verifier_log import diagnose_log
from bpfloader.spec.object import ObjectSpec, object_spec
from bpfloader.spec.subprograms import with_subprograms
from compiling import FLAGS, TESTDATA

# Functions in another order than they are called in, one that two others call, callbacks, and lines of the same text.
SOURCE = """
#include "mini_bpf.h"
static long (*bpf_loop)(__u32 times, void *callback, void *context, __u64 flags) = (void *)181;
char LICENSE[] SEC("license") = "GPL";
__u64 sink;
__noinline int last(__u64 *at)
{
	if (!at)
		return 0;
	return *at;
}
static __noinline int leaf(__u64 number)
{
	sink += number;
	return 0;
}
static int callback(__u32 number, void *context)
{
	leaf(number);
	return 0;
}
static __noinline int middle(__u64 number)
{
	leaf(number);
	sink += number;
	return number;
}
SEC("raw_tp/sys_enter") int calls(__u64 *ctx)
{
	int sum = middle(ctx[0]);
	sum += last(&sink);
	sink += sum;
	return *(volatile int *)ctx[0];
}
SEC("raw_tp/sys_enter") int alone(__u64 *ctx)
{
	sink += 2;
	return *(volatile int *)ctx[0];
}
SEC("?raw_tp/sys_enter") int loops(__u64 *ctx)
{
	__u64 local = 0;
	bpf_loop(2, callback, &local, 0);
	sink += middle(ctx[1]);
	return *(volatile int *)ctx[0];
}
SEC("raw_tp/sys_enter") int below(__u64 *ctx)
{
	sink += last(&sink);
	return last((__u64 *)*(volatile long *)ctx[0]);
}
"""
LAID = {
    "calls": ["calls", "middle", "leaf", "last"],
    "alone": ["alone"],
    "loops": ["loops", "callback", "leaf", "middle"],
    "below": ["below", "last"],
}
PLACE = re.compile(r" @ [^@]+:\d+$")


@pytest.fixture(scope="module", params=["places.bpf.c", "src/deep/places of mine.bpf.c"])
def file(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def data(clang, file, tmp_path_factory) -> bytes:
    """The object of SOURCE, out of a file of that name."""
    folder = tmp_path_factory.mktemp("places")
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(SOURCE)
    command = [*clang, *FLAGS, f"-I{TESTDATA}", "-c", file, "-o", "-"]
    done = subprocess.run(command, cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def spec(data) -> ObjectSpec:
    return object_spec(data, "places.bpf.o")


def text_of(number: int) -> str:
    return SOURCE.splitlines()[number - 1].strip()


def course(spec: ObjectSpec, name: str, told: bool) -> list[str]:
    """Returns a log of all instructions of a program, with the texts of its source lines where these are `told`."""
    (program,) = (each for each in spec.programs if each.name == name)
    count = sum(function.instructions for function in with_subprograms(spec, program))
    bare = [f"{number}: (07) r1 += 1" for number in range(count)]
    full = with_places(bare, spec, name)
    return [line.rpartition(" @ ")[0] if line.startswith("; ") else line for line in full] if told else bare


def without_places(log) -> tuple[str, ...]:
    """Returns a log as kernels before 6.9 write it."""
    return tuple(PLACE.sub("", line) if line.startswith("; ") else line for line in log)


@pytest.mark.parametrize("name", LAID)
def test_functions_are_laid_out_in_the_order_of_their_calls(spec, name):
    (program,) = (each for each in spec.programs if each.name == name)
    assert [each.name for each in with_subprograms(spec, program)] == LAID[name]


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("name", LAID)
def test_each_line_has_the_number_of_its_text(spec, file, name, told):
    log = course(spec, name, told)
    placed = with_places(log, spec, name)
    found = [line.removeprefix("; ").rpartition(" @ ") for line in placed if line.startswith("; ")]
    assert [line for line in placed if not line.startswith("; ")] == [line for line in log if line[0] != ";"]
    assert found and {place.rpartition(":")[0] for _, _, place in found} == {file}
    assert all(text_of(int(place.rpartition(":")[2])) == text for text, _, place in found)


@pytest.mark.parametrize("name", LAID)
def test_the_kernel_counts_instructions_alike(data, spec, name, file, kernel):
    """The log of a real refusal: places are the kernel's own where it tells them, and texts are the lines' in any case."""
    with bpfloader.Object.open(data) as opened:
        opened.select([name])
        try:
            with pytest.raises(bpfloader.VerifierError) as caught:
                opened.load()
        except bpfloader.LibraryError as error:
            pytest.skip(str(error))
    log = caught.value.log
    placed = with_places(without_places(log), spec, name)
    lines = [(old, new) for old, new in zip(log, placed, strict=True) if old.startswith("; ")]
    assert lines and len(lines) == sum(line.startswith("; ") and f" @ {file}:" in line for line in placed)
    for old, new in lines:
        text, _, place = new.removeprefix("; ").rpartition(" @ ")
        number = place.rpartition(":")[2]
        assert text_of(int(number)) == text and (" @ " not in old or old.endswith(f":{number}")), (old, new)
    assert f"({file}:" in str(caught.value).splitlines()[0]


def test_an_error_of_an_older_kernel_has_file_and_line(data, file):
    lines = "; return *(volatile int *)ctx[0];", "3: (61) r0 = *(u32 *)(r1 +0)", "R1 invalid mem access 'scalar'"
    begin = "libbpf: prog 'alone': -- BEGIN PROG LOAD LOG --\n"
    spec = object_spec(data, "x")
    last = [line for line in with_places(course(spec, "alone", False), spec, "alone") if line.startswith("; return")]
    at = with_places(course(spec, "alone", False), spec, "alone").index(last[0])
    number = with_places(course(spec, "alone", False), spec, "alone")[at + 1].partition(":")[0]
    text = begin + "\n".join((lines[0], lines[1].replace("3:", f"{number}:"), lines[2])) + "\n-- END PROG LOAD LOG --\n"
    error = bpfloader.CallError("bpf_object__load failed", errno=13)
    said = str(refusal.load_refused("x", error, [text], data=data)).splitlines()[0]
    line = next(n for n, each in enumerate(SOURCE.splitlines(), 1) if "int alone" in each) + 3
    assert f", at `return *(volatile int *)ctx[0];` ({file}:{line}); " in said


def test_a_report_s_places_get_their_folder(spec, file):
    """In the form of Linux 7.3, which names the file alone."""
    name = file.rpartition("/")[2]
    number = next(n for n, each in enumerate(SOURCE.splitlines(), 1) if "sink += 2;" in each)
    marked = f"  Source context:\n  >>> {number} |         sink += 2;\n"
    report = (
        f"Verification failed: x\n\nReason:\n  Owned resource (id=2).\n\nAt:\n  alone @ {name}:{number}:7\n{marked}"
    )
    report += (
        f"\nCausal path:\n  alone @ {name}:{number}:3\n{marked}         |         ^-- acquired: owned resource (id=2)\n"
    )
    told = diagnose_log(with_places((*course(spec, "alone", True), *report.splitlines()), spec, "alone"))
    assert told.source == f"`sink += 2;` ({file}:{number})"
    assert told.reason.endswith(f"(acquired at `sink += 2;` ({file}:{number}))")
    other = f"  alone @ {name}:9999:7"
    assert with_places((*course(spec, "alone", True), other), spec, "alone")[-1] == other


def test_a_text_that_the_object_has_not_there_gets_no_place(spec):
    log = "; return 7;", "1: (07) r1 += 1", "; sink += 2;", "99999: (07) r1 += 1", "; sink += 2;", "R1 invalid"
    assert with_places(log, spec, "alone")[::2] == ("; return 7;", "; sink += 2;", "; sink += 2;")
    assert with_places(log, spec, "nobody") == log


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:300], lambda data: b"", lambda data: data.replace(b"\x9f\xeb", b"xx")]
)
def test_an_object_that_cannot_be_read_adds_nothing(data, spoil):
    text = "libbpf: prog 'alone': -- BEGIN PROG LOAD LOG --\n; sink += 2;\n0: (07) r1 += 1\nR1 invalid mem access 'scalar'\n"
    error = bpfloader.CallError("bpf_object__load failed", errno=13)
    said = str(refusal.load_refused("x", error, [text], data=spoil(data))).splitlines()[0]
    assert ", at `sink += 2;`; " in said
