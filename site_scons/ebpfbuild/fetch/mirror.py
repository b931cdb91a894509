"""Checks the folder or URL that MIRROR= names, and finds how a build logs in there, or to the cache of CACHE=.

It logs in with a header from a file, or a user and password from .netrc. Neither is ever part of a URL, goes to another
place than the one named, follows a redirect or gets into a message.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ..errors import FetchError
from ..files import read_regular
from .passwords import basic, logins, netrc_file

MAX_HEADER_FILE_SIZE = 8 << 10  # bytes of a file of headers: servers refuse longer ones
HEADER_VARIABLE = "EBPF_MIRROR_HEADER"
# A refused URL that can be shown: it has no user, query or fragment, however they are spelt.
_PLAIN_URL = re.compile(r"[a-z]+://[\w.-]*(:\d+)?(/[\w/.~-]*)?", re.ASCII)
# RFC 9110, 5.6.2.
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)[ \t]*")
_REQUEST_OWN = frozenset(
    "accept-encoding connection content-length host range te trailer transfer-encoding upgrade".split()
)


def checked_mirror(mirror: str | None) -> str | Path | None:
    """Returns the folder or base URL that MIRROR= names.

    Raises FetchError for a folder that isn't there, or no usable URL. What is refused is not repeated where it may hold
    a password: nobody knows how a misspelt URL was meant.
    """
    if not mirror:
        return None
    folder = named_folder(mirror)
    if folder is None:
        return checked_url(mirror, "MIRROR", HEADER_VARIABLE)
    if not folder.is_dir():
        what = "there is no such folder" if re.search(r"[^\w\s/.,+~-]", mirror) else f"there is no folder {mirror!r}"
        raise FetchError(what, where="MIRROR", fix="name a folder or a URL")
    return folder


def named_folder(text: str) -> Path | None:
    """Returns the folder that a path or a URL of `file:` names; None for another URL."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "file":
        return None
    return Path(unquote(rest.removeprefix("localhost")) if separator else text)


def checked_url(text: str, where: str, variable: str) -> str:
    """Returns a base URL, which `where` names, without a slash at its end.

    Raises FetchError for one that isn't, or that holds a password: `variable` names a file with a header instead.
    """
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    fix = "write https://host/path or a folder"
    if not usable:
        shown = f"{where}={text}" if _PLAIN_URL.fullmatch(text) else where
        raise FetchError("neither a folder nor an http(s) URL", where=shown, fix=fix)
    if parts.query or parts.fragment:
        raise FetchError("is no URL to look below", where=where, fix=fix)
    if parts.username is not None:
        fix = f"write them into ~/.netrc, or name a file with the header of a login in {variable}"
        raise FetchError("holds a user name or password", where=where, fix=fix)
    return text.rstrip("/")


class Login(NamedTuple):
    """The headers that log in on `host`, and their file; none where no password is known.

    `variable` is that of the environment which may name a file of headers.
    """

    host: str
    headers: Mapping[str, str]
    file: str = ""
    variable: str = HEADER_VARIABLE

    def __repr__(self) -> str:
        """Shows no header: this may get into a log or a traceback."""
        return f"Login({self.host!r}, file={self.file!r})"

    def explain(self, status: int) -> str:
        """Says what to do about an answer with this status; empty if it isn't for want of a password."""
        if status == 401 and not self.headers:
            entry = f"machine {self.host} login USER password PASSWORD"
            return f"wants a password: write `{entry}` into ~/.netrc, or name a file with its header in {self.variable}"
        if status in (401, 403) and self.headers:
            return f"refuses the login in {self.file}"
        return ""


def mirror_login(mirror: str | None, environ: Mapping[str, str], root: Path) -> Login | None:
    """Returns how to log in to MIRROR=, or None for a folder or no mirror, as `login_to` does. Raises FetchError."""
    return login_to(mirror or "", environ, root, HEADER_VARIABLE)


def login_to(url: str, environ: Mapping[str, str], root: Path, variable: str) -> Login | None:
    """Returns how to log in to a URL, or None for what is none. A relative path is below `root`.

    `variable` of the environment names a file with lines such as `Authorization: Bearer TOKEN`. Without it, .netrc
    counts: its entry for the URL's host, or `default`. Raises FetchError for a file that holds no headers.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None  # it is refused when it is used
    if not host:
        return None
    named = environ.get(variable)
    if named:
        return Login(host, _login_headers(root / named, variable), named, variable)
    file = netrc_file(environ)
    known = logins(file)
    login = known.get(host) or known.get("default")
    return Login(host, {"Authorization": basic(login)} if login else {}, file or "", variable)


def _login_headers(path: Path, variable: str) -> dict[str, str]:
    """Reads a file of headers, a line each. No error quotes a line: it may be the password."""
    try:
        text = read_regular(path, MAX_HEADER_FILE_SIZE).decode()
    except OSError as error:
        what, fix = f"{path} can't be read: {error.strerror}", "name a file that this user can read"
        raise FetchError(what, where=variable, fix=fix) from None
    except UnicodeDecodeError:
        text = "no header"
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.fullmatch(line)
        if line.strip() and (not header or header[1].lower() in _REQUEST_OWN):
            raise FetchError(f"line {number} of {path} is no header for a login", where=variable, fix=_EXAMPLE)
        if header:
            found[header[1]] = header[2]
    if not found:
        raise FetchError(f"{path} is empty", where=variable, fix=_EXAMPLE)
    return found


_EXAMPLE = "write a line such as Authorization: Bearer TOKEN"
