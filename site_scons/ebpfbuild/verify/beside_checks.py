"""Checks the papers that lie beside a wheel."""

from collections.abc import Iterator
from pathlib import Path

from ..errors import PaperError
from ..files import read_regular
from ..release import provenance
from ..release.papers import BESIDE, SBOM_ENDING, STATEMENT_ENDING, SUMS_ENDING
from ..release.sums import read_sums, sha256
from .package_checks import PackageFile, derived_sbom, difference
from .wheel_file import COPY_AGAIN

MAX_PAPER = 16 << 20  # bytes of a paper
TOGETHER = "copy the wheel and its papers from one release"


def papers_there(path: Path) -> list[str]:
    """Returns the names of those papers that lie beside a wheel."""
    return [path.name + ending for ending in BESIDE if path.with_name(path.name + ending).exists()]


def signatures_there(path: Path) -> list[str]:
    """Returns the names of the files beside a wheel that are called as its statement is, and something more."""
    statement = f"{path.name}{STATEMENT_ENDING}."
    return sorted(each.name for each in path.parent.iterdir() if each.name.startswith(statement))


def check_beside(package: PackageFile, path: Path) -> Iterator[PaperError]:
    """Yields what is wrong with the papers beside the wheel at `path`. Raises PaperError where one can't be read."""
    papers = {ending: _read(path, ending) for ending in BESIDE}
    wheel = package.wheel
    yield from _check_sums(package, papers[SUMS_ENDING], {wheel.name: wheel.sha256, **{
        path.name + ending: sha256(papers[ending]) for ending in (STATEMENT_ENDING, SBOM_ENDING)
    }})  # fmt: skip
    yield from _check_statement(package, papers[STATEMENT_ENDING])
    where = path.name + SBOM_ENDING
    found = provenance.from_json(papers[SBOM_ENDING], where)
    wanted = provenance.from_json(derived_sbom(package, wheel.sha256), where)
    if found != wanted:
        place = difference(found, wanted) or "its order"
        yield PaperError(f"isn't what the wheel gives: {place}", where=where, fix=TOGETHER)


def _read(path: Path, ending: str) -> bytes:
    name = path.name + ending
    try:
        return read_regular(path.with_name(name), MAX_PAPER)
    except OSError as error:
        raise PaperError(f"can't be read: {error.strerror}", where=name, fix=TOGETHER) from None


def _check_sums(package: PackageFile, data: bytes, wanted: dict[str, str]) -> Iterator[PaperError]:
    where = package.wheel.name + SUMS_ENDING
    listed = read_sums(data, where)
    for name in sorted(wanted.keys() | listed.keys()):
        if listed.get(name) != wanted.get(name):
            yield PaperError(f"has another digest than the {name} here", where=where, fix=TOGETHER)


def _check_statement(package: PackageFile, data: bytes) -> Iterator[PaperError]:
    wheel, where = package.wheel, package.wheel.name + STATEMENT_ENDING
    told = provenance.read_statement(data, where)
    if told.subjects != {wheel.name: wheel.sha256}:
        what = (
            f"is the statement of another wheel: {', '.join(f'{name} {told.subjects[name]}' for name in told.subjects)}"
        )
        yield PaperError(what, where=where, fix=f"{TOGETHER}; this one is {wheel.sha256}")
    inside = package.statement
    if told.external != inside.external:
        place = difference(told.external, inside.external)
        yield PaperError(
            f"isn't what {package.statement_path} says: externalParameters{place}", where=where, fix=COPY_AGAIN
        )
    for name in sorted(told.dependencies.keys() | inside.dependencies.keys()):
        one, other = told.dependencies.get(name, {}), inside.dependencies.get(name, {})
        if [one.get(key) for key in ("uri", "digest")] != [other.get(key) for key in ("uri", "digest")]:
            yield PaperError(f"isn't what {package.statement_path} says: {name}", where=where, fix=COPY_AGAIN)
