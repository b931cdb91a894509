"""The report at the end of a verifier's log, as Linux 7.3 writes it: its fields, what it lacks, and what isn't one."""

import pytest
from bpfloader.diagnose.verifier_log import diagnose_log
from bpfloader.diagnose.verifier_report import read_report
from hypothesis import given
from hypothesis import strategies as st

COURSE = """\
0: R1=ctx() R10=fp0
; count = bpf_map_lookup_elem(&counts, &pid); @ exec.bpf.c:31
4: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=counts,ks=4,vs=8)
; *count += 1; @ exec.bpf.c:32
5: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
"""
TITLE = "\nVerification failed: Register Type Safety: Invalid dereference\n"
REASON = """
Reason:
  R0 may be NULL here (a nullable map value pointer). The program could dereference NULL on this
  path, so the verifier cannot prove this access is safe.
"""
AT = """
At:
  on_exec @ src/exec.bpf.c:32:9
  Source context:
      30 |         __u32 pid = bpf_get_current_pid_tgid() >> 32;
      31 |         count = bpf_map_lookup_elem(&counts, &pid);
  >>> 32 |         *count += 1;
         |         ^-- error: invalid dereference of R0 (a nullable map value pointer)
      33 | ...
  Instruction context:
      4 | (85) call bpf_map_lookup_elem#1
  >>> 5 | (79) r1 = *(u64 *)(r0 +0)
      6 | (07) r1 += 1
"""
PATH = """
Causal path:
  on_exec @ src/exec.bpf.c:31:17
  Source context:
  >>> 31 |         count = bpf_map_lookup_elem(&counts, &pid);
         |         ^-- update: R0 changed from uninitialized value to nullable map value from counts
         |             at offset 0
  Instruction context:
  >>> 4 | (85) call bpf_map_lookup_elem#1
"""
SUGGESTION = """
Suggestion:
  Add a NULL check before the access and dereference the pointer only on the
  non-NULL path.
"""
STATISTICS = "\nprocessed 6 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0"
SAID = (
    "R0 may be NULL here (a nullable map value pointer). The program could dereference NULL on this path, so the "
    "verifier cannot prove this access is safe",
    "`*count += 1;` (src/exec.bpf.c:32)",
    "Add a NULL check before the access and dereference the pointer only on the non-NULL path",
)
SCANNED = (
    "R0 invalid mem access 'map_value_or_null'",
    "`*count += 1;` (exec.bpf.c:32)",
    "check the pointer against NULL first, on every path to this line",
)


def read(*parts: str) -> tuple[str, str, str]:
    return diagnose_log(tuple("".join(parts).splitlines()))[:3]


def test_reason_source_line_and_hint_are_its_fields():
    assert read(COURSE, TITLE, REASON, AT, PATH, SUGGESTION, STATISTICS) == SAID


@pytest.mark.parametrize("lacking", range(8))
def test_what_it_lacks_is_read_from_the_logs_lines(lacking):
    fields = (REASON, AT, SUGGESTION)
    kept = [text if lacking >> at & 1 else "" for at, text in enumerate(fields)]
    expected = tuple(said if lacking >> at & 1 else scanned for at, (said, scanned) in enumerate(zip(SAID, SCANNED)))
    assert read(COURSE, TITLE, kept[0], kept[1], PATH, kept[2], STATISTICS) == expected


def test_a_log_without_one_is_read_as_ever():
    assert read(COURSE, STATISTICS) == SCANNED and read_report(COURSE.splitlines()) is None


def test_a_place_without_a_source_is_the_instructions():
    at = "\nAt:\n  insn 5\n  Instruction context:\n  >>> 5 | (79) r1 = *(u64 *)(r0 +0)\n"
    assert read(COURSE, TITLE, REASON, at, STATISTICS)[1] == "`*count += 1;` (exec.bpf.c:32)"
    bare = "5: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'scalar'\n"
    assert read(bare, TITLE, REASON, at, SUGGESTION, STATISTICS) == (SAID[0], "", SAID[2])


def test_a_place_whose_line_the_object_lacks_is_its_file_and_line():
    for place in ("  on_exec @ exec.bpf.c:32:9\n", "  exec.bpf.c:32:9\n"):
        assert read(COURSE, TITLE, "\nAt:\n", place, STATISTICS)[1] == "exec.bpf.c:32"


def test_what_the_verifier_says_behind_the_report_is_no_field():
    behind = "\nBPF_EXIT instruction in main prog would lead to reference leak\n"
    said = read(COURSE, TITLE, REASON, AT, SUGGESTION, behind, STATISTICS)
    assert said == SAID and read(COURSE, TITLE, AT, behind, STATISTICS)[0] == behind.strip()


def test_a_leak_names_where_that_resource_was_acquired():
    reason = "\nReason:\n  Owned resource (id=2) was acquired at instruction 4 and still needs to be released.\n"
    one = """\
  leaky @ exec.bpf.c:{line}:18
  Source context:
  >>> {line} |         {name} = bpf_ringbuf_reserve(&events, 8, 0);
         |         ^-- acquired: owned resource (id={id})
  Instruction context:
  >>> 4 | (85) call bpf_ringbuf_reserve#131

"""
    path = "\nCausal path:\n" + one.format(line=40, name="first", id=1) + one.format(line=41, name="other", id=2)
    said = read(COURSE, TITLE, reason, AT, path, SUGGESTION, STATISTICS)
    assert said[0].endswith("released (acquired at `other = bpf_ringbuf_reserve(&events, 8, 0);` (exec.bpf.c:41))")
    assert said[1] == SAID[1]


def test_a_programs_own_text_is_no_field():
    context = AT.replace("      33 | ...", "      33 | Suggestion:\n      34 | Verification failed: no")
    course = "; Verification failed: in a comment @ exec.bpf.c:3\n; Reason: @ exec.bpf.c:4\n" + COURSE
    assert read(course, TITLE, REASON, context, PATH, SUGGESTION, STATISTICS) == SAID


WHOLE = "".join((COURSE, TITLE, REASON, AT, PATH, SUGGESTION, STATISTICS)).splitlines()
LINES = st.sampled_from([*WHOLE, "Reason:", "At:", "Suggestion:", "Verification failed: ", "  insn 99999999999", ""])


@given(st.lists(LINES | st.text(max_size=80), max_size=60))
def test_any_lines_give_one_line_each(log):
    for said in read("\n".join(log)):
        assert len(said.splitlines()) <= 1


@pytest.mark.parametrize("end", range(len(COURSE.splitlines()), len(WHOLE)))
def test_a_log_that_is_cut_short_is_read_as_far_as_it_goes(end):
    reason, source, hint = diagnose_log(tuple(WHOLE[:end]))[:3]
    assert reason == SCANNED[0] or SAID[0].startswith(reason)
    assert source in (SCANNED[1], "src/exec.bpf.c:32", SAID[1])
    assert hint == SCANNED[2] or SAID[2].startswith(hint)


def test_a_field_ends_with_its_sentences():
    assert read(COURSE, TITLE, REASON, AT.replace("At:\n", ""), SUGGESTION)[0] == SAID[0]
