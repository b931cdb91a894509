"""Runs clang in a sandbox: what it may see, and in words what it asked for and was not there."""

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ..errors import UndeclaredInputError
from ..host_tools import SANDBOX_ROOT, Action, Runner, loaded
from ..paths import Tree
from .depfile import undeclared

_MISSING = re.compile(
    r"^(?:(?P<at>[^\n:]+):\d+:\d+: |clang: )?(?:fatal error|error): (?:'(?P<name>[^'\n]+)' file not found"
    r"|(?:[Cc]ould not (?:find|open) (?:incbin|include) file|no such file or directory:) '(?P<read>[^'\n]+)')",
    re.MULTILINE,
)


def run_sandboxed(
    sandbox: Runner,
    command: Sequence[str],
    executable: str,
    root: str,
    inputs: Iterable[str],
    scratch: str,
    own_dirs: Sequence[str],
    system_dirs: Sequence[str],
    trees: Sequence[str],
    build_dirs: Sequence[str],
    source: str,
) -> subprocess.CompletedProcess[str] | None:
    """Runs clang with nothing in sight but `inputs`; None where the sandbox leaves it to the caller.

    `own_dirs` and `system_dirs` are searched for headers, `trees` those of them with many inputs. `build_dirs`
    are folders of the build's that may lie outside of the project. Raises UndeclaredInputError for a file that is there
    in the project, or on the machine, and is no input; SandboxError.
    """
    outside = [each for each in (os.path.dirname(scratch), *build_dirs) if os.path.isabs(each)]
    below = tuple(f"{folder}/" for each in outside for folder in (each, os.path.realpath(each)))
    declared = {path for path in inputs if not os.path.isabs(path) or path.startswith(below)}
    folders, laid = [*own_dirs, *system_dirs], _by_tree(declared, trees)
    in_trees = {path for files in laid.values() for path in files}
    mounts, environment = _loaded_by(os.path.realpath(executable))
    action = Action(
        command,
        os.path.realpath(executable),
        root,
        [path for path in declared if path not in in_trees and not path.startswith(tuple(f"{tree}/" for tree in laid))],
        scratch,
        folders=[folder for folder in folders if not folder.startswith(tuple(laid))],
        trees=laid,
        anywhere=[scratch, *system_dirs],
        mounts=mounts,
        environment=environment,
    )
    done = sandbox.run(action)
    if done is None:
        return None
    if done.returncode and (ways := _ways_to_missing(done.stderr, folders, declared, source, root)):
        done = sandbox.run(action._replace(folders=[*action.folders, *sorted(ways)]))
    _name_relative(os.path.join(root, scratch, "depfile"))
    return done


def _loaded_by(binary: str) -> tuple[list[str], dict[str, str]]:
    """Returns what a compiler with libraries is loaded from: files of the machine, and variables to find them by."""
    libraries = _libraries(binary)
    if not libraries:
        return [], {}
    folders = sorted({os.path.dirname(each) for each in libraries})
    return [binary, *libraries], {"LD_LIBRARY_PATH": ":".join(folders)}


def _ways_to_missing(stderr: str, folders: Sequence[str], declared: set[str], source: str, root: str) -> set[str]:
    """Returns the folders that clang's "not found" lacked: a header by way of a folder without inputs needs it.

    Such is `#include "sub/../x.h"`. Raises UndeclaredInputError for a file that is there and is no input.
    """
    ways = set()
    for match in _MISSING.finditer(stderr):
        at, name = match["at"] or source, match["name"] or match["read"]
        places = [os.path.join(folder, name) for folder in (os.path.dirname(at), *folders, "")]
        found = next((path for path in places if os.path.isfile(os.path.join(root, path))), None)
        if found:
            ways |= _unknown_ways(found, declared, source, root)
    return ways


def _name_relative(depfile: str) -> None:
    """Takes the sandbox's folder out of clang's list of what it read, where an `#embed`ded file has its whole path."""
    try:
        with open(depfile, "r+b") as file:
            text = file.read()
            relative = re.sub(rb"(?<!\\) " + os.fsencode(f"{SANDBOX_ROOT}/"), b" ", text)
            if relative != text:
                file.seek(0)
                file.write(relative)
                file.truncate()
    except FileNotFoundError:
        return


def _unknown_ways(path: str, declared: set[str], source: str, root: str) -> set[str]:
    """Returns the folders on the way to a declared file. Raises UndeclaredInputError for another one."""
    tree = Tree(root)
    normal = tree.normalized(path)
    if (link := tree.outside_link(normal)) and not os.path.isabs(normal):
        what = f"{link} leads out of the project, to {tree.real(link)}, where no sandboxed step looks"
        raise UndeclaredInputError(what, where=source, fix="copy what you need of it into the project")
    if tree.real(normal) not in {tree.real(each) for each in declared}:
        raise undeclared([normal], source)
    parts = path.split(os.sep)
    return {os.sep.join(parts[:count]) for count, part in enumerate(parts) if count and part == os.pardir} - {""}


def _by_tree(declared: set[str], trees: Sequence[str]) -> dict[str, list[str]]:
    """Returns the inputs below the folder that the `trees` lie in, by that folder; only what is in one of them."""
    if not trees:
        return {}
    below = tuple(f"{tree}/" for tree in trees)
    return {os.path.commonpath(trees): sorted(path for path in declared if path.startswith(below))}


@lru_cache
def _libraries(binary: str) -> tuple[str, ...]:
    """Returns the libraries of a compiler; none for a static one, for which no process is started."""
    with open(binary, "rb") as file:
        start = file.read(4096)
    return tuple(loaded(binary)) if start.startswith(b"\x7fELF") and b"/ld-" in start else ()
