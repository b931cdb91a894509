"""A project's tests in guests: what is reported of them, as text and as JUnit's XML, and the packages that they need."""

import sys
import xml.etree.ElementTree as ElementTree

import pytest
from ebpfbuild.boot.packages import python_packages
from ebpfbuild.boot.results import Guest
from ebpfbuild.boot.tests import junit, summary, reported_tests, text
from ebpfbuild.errors import BootError
from hypothesis import given, strategies as st

GUEST = Guest("old", "x86_64", "6.1", "6.1.0-50", 4096, True, 12.5, "", (), "build/boot/old/serial.log", "tcg")
END = {"kind": "pytest", "status": 0}


def case(name: str, outcome: str, text: str = "", seconds: float = 0.25):
    return {"kind": "test", "test": f"tests/a/test_x.py::{name}", "outcome": outcome, "text": text, "seconds": seconds}


def test_the_terminal_has_failures_and_reasons_and_the_xml_all_of_it():
    said = [case("one", "passed"), case("two", "skipped", "Skipped: no <BTF>"), case("three", "skipped", "Skipped: no <BTF>")]
    said += [case("four", "failed", "before\nassert 1 == 2\0"), case("four", "error", "tear-down"), {"kind": "pytest", "status": 1}]
    run = reported_tests(GUEST, said)
    assert text([run]).splitlines() == [
        "old (6.1.0-50, x86_64): 1 passed, 1 failed, 1 error, 2 skipped",
        "  failed: tests/a/test_x.py::four", "    before", "    assert 1 == 2\0", "  error: tests/a/test_x.py::four", "    tear-down",
        "  skipped 2: no <BTF>",
    ]  # fmt: skip
    assert summary([run, run]) == "2 kernels booted in 25 s: 2 passed, 2 failed, 2 error, 4 skipped"
    (suite,) = ElementTree.fromstring(junit(run))
    assert suite.attrib == {"name": "old", "tests": "5", "failures": "1", "errors": "1", "skipped": "2", "time": "12.500"}
    found = [(row.get("classname"), row.get("name"), [(each.tag, each.get("message")) for each in row]) for row in suite]
    assert found[0] == ("tests.a.test_x", "one", []) and found[1][2] == [("skipped", "no <BTF>")]
    assert found[3][2] == [("failure", "assert 1 == 2?")] and suite[3][0].text == "before\nassert 1 == 2?"


@pytest.mark.parametrize(
    ("stopped", "said", "why"),
    [
        ("", [END], ""),
        ("", [{"kind": "pytest", "status": 5}], "no test was found"),
        ("", [{"kind": "pytest", "status": 4}], "pytest refused its options"),
        ("", [{"kind": "pytest", "status": 99}], "pytest did not come to its end"),
        ("", [{"kind": "begin", "test": "a::b"}], "pytest did not come to its end, in a::b"),
        ("its kernel panicked", [{"kind": "begin", "test": "a::b"}], "its kernel panicked, in a::b"),
        ("it took longer than 5 s", [], "it took longer than 5 s"),
    ],
)  # fmt: skip
def test_a_run_that_did_not_come_to_its_end_says_why_and_in_which_test(stopped, said, why):
    run = reported_tests(GUEST._replace(stopped=stopped), said)
    assert run.stopped == why
    (suite,) = ElementTree.fromstring(junit(run))
    assert [row[0].get("message") for row in suite] == ([why] if why else []) and suite.get("errors") == str(bool(why) + 0)


@given(st.lists(st.dictionaries(st.sampled_from(["kind", "test", "outcome", "text", "seconds", "status"]), st.one_of(
    st.sampled_from(["test", "begin", "pytest", "passed", "failed", "skipped", "error"]), st.text(), st.integers(), st.floats(), st.none(), st.lists(st.integers())
))))  # fmt: skip
def test_whatever_a_guest_says_of_its_tests_becomes_text_and_xml(said):
    run = reported_tests(GUEST, said)
    assert text([run]) and ElementTree.fromstring(junit(run)) is not None


def test_a_guest_gets_pytest_and_what_it_needs_and_nothing_compiled():
    files = python_packages(["pytest"])
    assert {"pytest/__init__.py", "_pytest/main.py", "pluggy/__init__.py", "iniconfig/__init__.py"} <= set(files)
    assert not any(path.endswith((".so", ".pyc")) or path.startswith((".", "xdist")) for path in files)
    assert "jinja2/__init__.py" in (mixed := python_packages(["Jinja2"])) and "markupsafe/_native.py" in mixed
    assert not any(".so" in path for path in mixed)


def test_a_package_that_is_missing_or_changed_is_refused(tmp_path, monkeypatch):
    with pytest.raises(BootError, match="boot test: no-such-package is not installed where the tests run; install it"):
        python_packages(["no-such-package"])
    info = tmp_path / "odd-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: odd\nVersion: 1\nRequires-Dist: gone; sys_platform == 'win32'\nRequires-Dist: more; extra == 'x'\n")
    (info / "RECORD").write_text("odd.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\nodd-1.dist-info/RECORD,,\n")
    (tmp_path / "odd.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert python_packages(["odd"]) == {"odd.py": b""}
    (tmp_path / "odd.py").write_text("x = 1")
    with pytest.raises(BootError, match="boot test: odd.py is not as pip installed it; make the environment anew"):
        python_packages(["odd"])
