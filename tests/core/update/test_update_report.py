"""What an update means, said: few lines for a person, Markdown in which no header's text means anything, JSON with all."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from ebpfbuild.minimize.header_changes import ADDED, CHANGED, REMOVED, FieldChange, TypeChange, UsedChange
from ebpfbuild.update.report import MAX_SHOWN, HeaderFacts, HeaderUpdate, ProgramChanges, UpdateReport, as_data, as_markdown, as_text, code_span

OLD, NEW = "a" * 40, "b" * 40
SOCK = TypeChange("struct sock", CHANGED, (FieldChange("a", "int a", "long a"), FieldChange("b", "", "int b"), FieldChange("c", "int c", "")))
GONE, MORE = TypeChange("struct gone", REMOVED), TypeChange("enum more", ADDED)
ANEW = TypeChange("struct net", CHANGED)


def named(change, *fields):
    return UsedChange(change._replace(fields=tuple(field for field in change.fields if field.name in fields)), True)


def report(programs=(), changes=(GONE, SOCK, ANEW, MORE), arches=("x86_64", "arm")):
    headers = [HeaderUpdate(arch, HeaderFacts("6.18", "1" * 64, 100), HeaderFacts("6.19", "2" * 64, 200), changes) for arch in arches]
    same = HeaderUpdate("s390x", HeaderFacts("6.19", "3" * 64, 7), HeaderFacts("6.19", "3" * 64, 7), [])
    return UpdateReport("libbpf/vmlinux.h", OLD, NEW, "2026-08-18", [*headers, same], programs)


def test_what_programs_use_is_told_once_for_all_arches_and_what_breaks_first():
    used = [named(SOCK, "a", "c"), named(MORE), named(GONE), UsedChange(ANEW, False)]
    text = as_text(report([ProgramChanges("one", arch, used) for arch in ("x86_64", "arm")]))
    assert text.splitlines() == [
        "libbpf/vmlinux.h: aaaaaaaaaaaa -> bbbbbbbbbbbb of 2026-08-18",
        "x86_64  Linux 6.18 -> 6.19, 100 -> 200 bytes: types +1 -1 ~2, members +1 -1 ~1",
        "arm     Linux 6.18 -> 6.19, 100 -> 200 bytes: types +1 -1 ~2, members +1 -1 ~1",
        "s390x   Linux 6.19, the same bytes",
        "of these changes our program one uses:",
        "  - struct gone (x86_64 arm)",
        "  ~ struct sock: - int c, int a -> long a (x86_64 arm)",
        "  + enum more (x86_64 arm)",
        "  what no program names changes in 1 more of the types that they keep: struct net",
    ]


def test_several_programs_are_named_and_a_long_list_is_cut_unless_all_is_asked_for():
    many = [TypeChange(f"struct t{number}", REMOVED) for number in range(MAX_SHOWN + 5)]
    found = report([ProgramChanges("one", "arm", list(map(named, many))), ProgramChanges("two", "arm", [named(many[0])])], many)
    lines = as_text(found).splitlines()
    assert "of these changes our 2 programs use:" in lines and "  - struct t0 (arm: one, two)" in lines
    assert lines[-1] == "  … 5 more (--all lists them)" and len(lines) == 5 + MAX_SHOWN + 1
    assert sum(line.startswith("  - struct t14") for line in as_text(found, everything=True).splitlines()) == 2


def test_long_texts_and_many_members_are_cut_unless_all_is_asked_for():
    fields = tuple(FieldChange(f"m{number}", "", f"struct {'x' * 80} m{number}") for number in range(5))
    found = report([ProgramChanges("one", "arm", [UsedChange(TypeChange("struct big", CHANGED, fields), True)])])
    (line,) = [line for line in as_text(found).splitlines() if "struct big" in line]
    assert line.count("+ struct x") == 3 and line.endswith("…, … 2 more (arm)") and "m0" not in line
    (line,) = [line for line in as_text(found, everything=True).splitlines() if "struct big" in line]
    assert line.count("+ struct x") == 5 and "…" not in line and "m4" in line


def test_a_report_without_anything_to_use_says_so():
    assert as_text(report()).endswith("no program here includes these headers")
    assert as_text(report([ProgramChanges("one", "arm", [])])).endswith("our program one names nothing that changes")
    assert as_text(report(arches=())).endswith("nothing changes for our programs")
    new = HeaderUpdate("arm", HeaderFacts(None, None, None), HeaderFacts("6.19", "2" * 64, 200), None)
    gone = new._replace(old=HeaderFacts("6.18", "1" * 64, None))
    text = as_text(report()._replace(old="", headers=[new, gone]))
    assert text.splitlines() == ["libbpf/vmlinux.h: bbbbbbbbbbbb of 2026-08-18", "arm  Linux 6.19, 200 bytes, new",
                                 "arm  Linux 6.18 -> 6.19, 200 bytes, not compared", "there is no header to compare with"]


def test_json_has_every_change_and_who_uses_it():
    used = [named(SOCK, "a"), UsedChange(ANEW, False)]
    data = json.loads(json.dumps(as_data(report([ProgramChanges("one", "arm", used)]))))
    assert data["commit"] == {"old": OLD, "new": NEW, "date": "2026-08-18"}
    x86, arm, same = data["headers"]
    assert (arm["kernel"], arm["size"], same["changes"]) == ({"old": "6.18", "new": "6.19"}, {"old": 100, "new": 200}, [])
    by_type = {each["type"]: each for each in arm["changes"]}
    assert by_type["struct sock"]["used_by"] == {"one": ["a"]} and by_type["struct net"]["used_by"] == {"one": []}
    assert by_type["struct sock"]["members"][1] == {"name": "b", "old": "", "new": "int b"}
    assert not any(each["used_by"] for each in x86["changes"])


@settings(deadline=None)
@given(st.text("`|<>@*_[]()#!\\\n\t\x1b\u202e é", max_size=12))
def test_no_text_of_a_header_s_means_anything_in_markdown(text):
    span = code_span(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    inside = span[len(fence) : -len(fence)]
    assert span.endswith(fence) and fence not in inside.split() and "\n" not in span and "\x1b" not in span and "\u202e" not in span
    assert f"`{'`' * len(fence)}" not in span.strip("`") or len(fence) > max(map(len, inside.replace("`", " ` ").split() or [""]))
    change = TypeChange(f"struct {text}", REMOVED)
    markdown = as_markdown(report([ProgramChanges("one", "arm", [named(change)])], [change]), everything=True)
    assert markdown.count("\n") == as_markdown(report([ProgramChanges("one", "arm", [named(GONE)])], [GONE]), everything=True).count("\n")


def test_markdown_links_the_commits_and_folds_what_is_long():
    text = as_markdown(report([ProgramChanges("one", "arm", [named(SOCK, "a")])]), everything=True)
    assert f"[`{'b' * 12}`](https://github.com/libbpf/vmlinux.h/commit/{NEW}) of 2026-08-18" in text
    assert f"(https://github.com/libbpf/vmlinux.h/compare/{OLD}...{NEW})" in text
    assert "\n- ~ `struct sock`: `int a` -> `long a` (arm)\n" in text and "<details><summary>4 changes</summary>" in text
