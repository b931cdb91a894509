"""The form of all pages: lines end by column 100, links and anchors lead somewhere, and the files they name exist."""

import re
from pathlib import Path

import pytest
from pages import ROOT

PAGES = [*(ROOT / name for name in ("README.md", "CHANGELOG.md", "loader/README.md")), *sorted((ROOT / "docs").rglob("*.md"))]
COLUMNS = 100
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"(?<![\w/.<…-])((?:[\w.-]+/)+[\w-]+\.(?:py|pyi|j2|toml|c|h|md))(?![\w/])")
FOLDERS = ("site_scons", "loader", "tests", "benchmarks", "docs", ".ci")  # bpf/ is where examples have their programs
OF_EXAMPLES = re.compile(r"\w+_(skel|tool)\.py")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> list[tuple[int, str]]:
    """The lines of a page with their numbers, without code blocks: fences, and what stands indented by four."""
    found, fenced = [], False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            found.append((number, line))
    return found


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings: lower case, spaces as hyphens, other signs left out."""
    heads = [line.lstrip("#").strip() for _, line in prose(page) if re.match("#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: Path) -> list[tuple[int, str]]:
    """The links of a page that stay in this repository, with the numbers of their lines."""
    return [(number, link) for number, line in prose(page) for link in LINK.findall(line) if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_lines_end_by_column_100(page):
    """Rows of tables may be longer, for nothing can break them; so may code, and a URL that stands alone."""
    lines = [(number, line) for number, line in prose(page) if len(line) > COLUMNS]
    assert [number for number, line in lines if not line.startswith("|") and not re.fullmatch(r"\W*https?://\S+", line)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_link_leads_somewhere(page):
    broken = []
    for number, link in links(page):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{name(page)}:{number}: {link}")
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_file_that_a_page_names_is_there(page):
    """A path that begins with one of FOLDERS is one from this repository's root."""
    missing = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        for path in PATH.findall(line):
            if path.split("/")[0] in FOLDERS and not (ROOT / path).is_file():
                missing.append(f"{name(page)}:{number}: {path}")
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_module_that_a_page_names_is_there(page):
    """A shorter name, such as `closure.py` below its folder's name, is one of a file as well."""
    files = [str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    unknown = []
    for number, line in prose(page):
        for quoted in re.findall(r"`([\w./-]+\.py)`", line):
            if not OF_EXAMPLES.fullmatch(quoted) and not any(f"/{file}".endswith(f"/{quoted}") for file in files):
                unknown.append(f"{name(page)}:{number}: {quoted}")
    assert unknown == []


def test_every_page_is_found_from_the_readme():
    """Follows links from README.md; loader/README.md is what package indexes show."""
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for _, link in links(page) if not link.startswith("#")]
    assert sorted(map(name, set(PAGES) - seen - {ROOT / "loader" / "README.md"})) == []


def test_each_sample_sconstruct_refuses_a_misspelt_argument():
    """Whoever copies one shall not build for this machine by ARHC=arm, or no release by RELASE=1."""
    blocks = [(page, block) for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)]
    samples = [(name(page), block) for page, block in blocks if 'Environment(tools=["ebpf"]' in block]
    assert len(samples) >= 4
    assert [each for each in samples if "\nenv.EbpfCheckArguments(" not in each[1]] == []
