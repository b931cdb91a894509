"""The page of a matrix: whole, alone, every failure linked, and no name of a kernel's or a program's is taken for HTML."""

from html.parser import HTMLParser

from ebpfbuild.btf.reader import Btf
from ebpfbuild.kernels.as_html import as_html
from ebpfbuild.kernels.kernel import Kernel
from ebpfbuild.kernels.matrix import Matrix, ObjectResults
from ebpfbuild.kernels.problem import Problem, ProgramResult

VOID = ("meta", "br", "link", "img")
HOSTILE = "<script>alert(1)</script>\x1b[31m&\"'`"


class Page(HTMLParser):
    """Notes tags, ids, links and text; fails for a tag that isn't closed where it has to be."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.classes, self.text = [], set(), [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.classes += found.get("class", "").split()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def matrix(name: str = "x", problems=()) -> Matrix:
    kernels = [Kernel(each, "x86_64", release, Btf.none(True)) for each, release in (("old", "5.10.1"), (name, "6.12.2"))]
    rows = [ProgramResult("p", "old", ()), ProgramResult("p", name, tuple(problems))]
    guarded = [ProgramResult("q", "old", (), ("struct a: b",)), ProgramResult("q", name, tuple(problems))]
    return Matrix(kernels, [ObjectResults(f"x86_64/{name}.bpf.o", "x86_64", {"p": rows, "q": guarded})])


def test_each_failure_leads_to_what_to_write():
    problem = Problem("field", "struct a: b", "has `int c`", ("one", "two"), "a.c:3")
    unsure = Problem("function", "kprobe/f", "no function f", unsure=True)
    page = Page(as_html(matrix("new", [problem, unsure])))
    assert page.text.count("2 of 2 programs fail on some of 2 kernels") == 2  # the title and the headline
    assert page.ids == ["p1", "p2"] and page.links == ["#p1", "#p1"]
    assert {"ok", "guarded", "fails", "is-fails", "is-unknown"} <= set(page.classes)
    optional = Page(as_html(matrix("new", [problem._replace(optional=True)])))
    assert {"optional", "is-optional"} <= set(optional.classes) and "Isn't loaded unless asked, and would fail for p, q" in optional.text
    assert "a.c:3" in page.text and "one\ntwo" in page.text and "since 6.12.2, and not yet in 5.10.1" in page.text
    assert "There: has int c" in page.text and "p, q" in page.text


def test_it_holds_all_that_it_shows_and_runs_nothing():
    page = Page(as_html(matrix()))
    assert not page.tags & {"script", "link", "img", "iframe", "object", "form"} and page.links == []
    assert "No program of 2 is known to fail on 2 kernels" in page.text
    assert "url(" not in as_html(matrix()) and "default-src 'none'" in as_html(matrix())


def test_no_name_is_taken_for_html():
    problem = Problem("field", HOSTILE, HOSTILE, (HOSTILE,), HOSTILE)
    text = as_html(matrix(HOSTILE, [problem]))
    page = Page(text)
    assert "script" not in page.tags and "\x1b" not in text
    assert page.text.count("<script>alert(1)</script>") > 5
