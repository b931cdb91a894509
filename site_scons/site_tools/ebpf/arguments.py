"""Takes the arguments of builders as SCons's own builders take theirs: strings, nodes, nested lists of both, $VARs."""

import os
import re
import shlex
from typing import NamedTuple

import SCons.Node
import SCons.Node.FS
import SCons.Script
from SCons.Util import flatten, is_Sequence, is_String

from ebpfbuild.arch import arches_named

from .errors import StopError, user_error

_ONE_VARIABLE = re.compile(r"\$(\w[\w.]*|\{[^}]*\})")


def flat(env, given, what):
    """Returns the strings and nodes of an argument, without nested lists; each `$VAR` is substituted.

    One that holds a list gives the list's items. Raises StopError for what is neither; `what` names the argument.
    """
    found = []
    for each in flatten([given]):
        each = os.fspath(each) if isinstance(each, os.PathLike) and not isinstance(each, SCons.Node.Node) else each
        if is_String(each):
            found += flatten([substituted(env, each)]) if "$" in each else [each]
        elif isinstance(each, SCons.Node.Node):
            found.append(each)
        elif each is not None:
            raise StopError(
                f"{what}: {each!r} is neither a path nor a node; write a string, or what a builder returned"
            )
    return [each for each in found if each != ""]


def substituted(env, text):
    """Returns a string with its variables substituted, or the nodes or list that it names whole by `$VAR`."""
    return env.subst(text, conv=lambda value: value)


def string(env, value):
    """Returns an argument that is one string, such as a name or a version, with its variables substituted."""
    value = None if value is None else str(value)
    return env.subst(value) if value and "$" in value else value


def flags(env, given, what):
    """Returns the flags of an argument or variable: a string is split as a command line, an item of a list is one flag.

    Raises StopError for a quotation that isn't closed; `what` names the argument.
    """
    found = []
    for word in _words(given, what):
        if not is_String(word) or "$" not in word:
            found.append(str(word))
            continue
        value = substituted(env, word)
        whole = _ONE_VARIABLE.fullmatch(word) or is_Sequence(value)
        found += map(str, _words(value, what)) if whole else [str(value)]
    return tuple(flag for flag in found if flag)


def _words(given, what):
    if not is_String(given):
        return flatten([given]) if given is not None else []
    try:
        return shlex.split(given)
    except ValueError as error:
        raise StopError(f"{what}: {given} is no command line ({error}); close the quotation, or write a list") from None


def arches(env, given):
    """Returns the arches that an argument names, in the table's order: names, aliases, lists or "all".

    For None they are those of ARCH=.
    """
    if not given:
        return env["EBPF_ARCHES"]
    words = [word for each in flat(env, given, "arch") for word in str(each).replace(",", " ").split()]
    return user_error(arches_named, ",".join(words), "arch")


def from_root(path):
    """Returns a path from the root, or an absolute one, as SCons's look-ups take it from any SConscript."""
    return path if os.path.isabs(path) else f"#{path}"


def file_of(env, given, what):
    """Returns the node of one file. Raises StopError for a folder and for what is no file at all."""
    if isinstance(given, SCons.Node.Node) and not isinstance(given, SCons.Node.FS.Base):
        raise StopError(f"{what}: {given} is no file; name one")
    return _looked_up(env.fs.File, given, f"{what}: {given} is a folder; name a file in it")


def folder_of(env, given, what):
    """Returns the node of one folder. Raises StopError for a file."""
    return _looked_up(env.fs.Dir, given, f"{what}: {given} is a file; name the folder that it lies in")


def _looked_up(lookup, given, refusal):
    try:
        return lookup(given)
    except TypeError:  # SCons's answer to a file in a folder's place, and the other way round
        raise StopError(refusal) from None


def folders(env, given, what):
    """Returns the nodes of an argument's folders. As in CPPPATH, a string may hold several, with `:` between them."""
    if given is None or given == ():
        return []
    given = given.split(os.pathsep) if is_String(given) else given
    return [folder_of(env, each, what) for each in flat(env, given, what)]


def single(env, given, what):
    """Returns the one string or node of an argument, a list of one as well, or None. Raises StopError for several."""
    found = flat(env, given, what)
    if len(found) > 1:
        raise StopError(f"{what}: got {' and '.join(map(str, found))}; name one")
    return found[0] if found else None


def switch(name, text):
    """Returns True if a `NAME=1` argument is on. Raises StopError for what is no switch."""
    if text.lower() in ("1", "yes", "true", "on"):
        return True
    if text.lower() in ("", "0", "no", "false", "off"):
        return False
    raise StopError(f"{name}={text}: not a switch; take {name}=1 or {name}=0")


class NamedCache(NamedTuple):
    """The cache that a build is to use: a folder or URL, empty for none, and if it is only read."""

    place: str
    read_only: bool


def named_cache(env):
    """Returns the NamedCache of CACHE= and CACHE_READONLY=, or else of the environment: the command line comes first.

    So an empty CACHE= is none, whatever the project says.
    """
    given = SCons.Script.ARGUMENTS
    read_only = given.get("CACHE_READONLY")
    read_only = env["EBPF_STEP_CACHE_READONLY"] if read_only is None else switch("CACHE_READONLY", read_only)
    own = str(env["EBPF_STEP_CACHE"]).removeprefix("#")
    return NamedCache(given.get("CACHE", own), bool(read_only))
