"""Asks GitHub's API for a repository's commits and trees, and fetches files that are held against the tree's ids.

No answer comes over plain http, since nothing pins it, and each is bounded. MIRROR= is asked first, as for artifacts:
`<mirror>/api.github.com/repos/…`, `<mirror>/raw.githubusercontent.com/…`. GITHUB_TOKEN goes to the API's host alone,
across no redirect. Source of the answers' forms: docs.github.com/rest, `commits`, `git/trees`, `releases`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import quote, urlsplit

from ..console import Reporter
from ..errors import FetchError, MismatchError, OfflineError
from ..escape import without_secrets
from ..files import MAX_FILE_SIZE
from ..pins.pins import ArtifactSource
from .http_get import RequestLogin
from .mirror import checked_mirror
from .obtain import copy_file
from .options import FetchOptions
from .places import Place, mirror_places, origin_places
from .store import Incoming, Store

API, RAW = "https://api.github.com", "https://raw.githubusercontent.com"
TOKEN_VARIABLE = "GITHUB_TOKEN"
MAX_ANSWER_SIZE = 16 << 20  # bytes of an answer of the API: a commit's holds a part of its patch
MAX_LINK_SIZE = 4096  # bytes of a symlink's target: Linux's PATH_MAX
MAX_LINKS = 8  # that one path leads through
SYMLINK = "120000"
_FILES = ("100644", "100755")
_ID = re.compile("[0-9a-f]{40}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,1000}")


class Commit(NamedTuple):
    """A commit: its id, and the day on which it was made (UTC)."""

    id: str
    day: date


class TreeEntry(NamedTuple):
    """A file, symlink, folder or submodule of a commit: git's mode, git's id of its content, its size in bytes."""

    mode: str
    id: str
    size: int


class _ApiLogin(NamedTuple):
    """The headers of a request to the API; `missing` says what a 404 means."""

    headers: Mapping[str, str]
    missing: str

    def __repr__(self) -> str:
        """Shows no header: this may get into a log or a traceback."""
        return "_ApiLogin()"

    def explain(self, status: int) -> str:
        """Says what an answer with this status means; empty for those that another try may heal."""
        if status in (404, 422):
            return self.missing
        if status == 401:
            return f"refuses the token in {TOKEN_VARIABLE}"
        if status in (403, 429):
            more = "" if "Authorization" in self.headers else f"set {TOKEN_VARIABLE}, or "
            return f"the API's limit of requests is used up: {more}try again in an hour"
        return ""


class GitHub:
    """A repository of GitHub's, such as `libbpf/vmlinux.h`. Each method raises FetchError and CacheError.

    `token` is GITHUB_TOKEN's text; empty, the API allows 60 requests an hour and address. `api` and `raw` are other
    addresses for tests.
    """

    def __init__(
        self, repository: str, options: FetchOptions, report: Reporter, token: str = "", api: str = API, raw: str = RAW
    ):
        if token and not _TOKEN.fullmatch(token):
            raise FetchError("holds what no header can", where=TOKEN_VARIABLE, fix="write the token alone, or unset it")
        self.repository, self._options, self._report = repository, options, report
        self._token, self._api, self._raw = token, api, raw
        self._store = Store(options.cache, report.notice)
        self._mirror = checked_mirror(options.mirror)

    def newest(self) -> Commit:
        """Returns the newest commit of the default branch."""
        return self._commit("HEAD", "it has no default branch, or is gone")

    def commit(self, asked: str) -> Commit:
        """Returns the commit of the default branch that 7 to 40 hex digits name.

        GitHub answers for commits of forks as well, which anybody can make: those are refused.
        """
        if not re.fullmatch("[0-9a-fA-F]{7,40}", asked):
            raise FetchError(f"{asked[:60]!r} is no commit", where="--commit", fix="write 7 to 40 hex digits of its id")
        found, newest = self._commit(asked.lower(), f"there is no commit {asked}"), self.newest()
        if not found.id.startswith(asked.lower()):
            raise self._odd(f"answers {found.id} for {asked}")
        if found.id != newest.id:
            path = f"compare/{found.id}...{newest.id}?per_page=1&page=2"
            if self._answer(path, "they can't be compared").get("status") != "ahead":
                what = f"{found.id} is no commit of the default branch of {self.repository}, maybe one of a fork's"
                raise FetchError(what, where="--commit", fix="take one that the branch has")
        return found

    def tag(self, tag: str) -> Commit:
        """Returns the commit of a tag."""
        return self._commit(f"tags/{quote(tag)}", f"there is no tag {tag}")

    def latest_release(self) -> str:
        """Returns the tag of the newest release that is no pre-release."""
        tag = self._answer("releases/latest", "it has no release").get("tag_name")
        if not isinstance(tag, str) or not re.fullmatch(r"[\w.+-]{1,100}", tag, re.ASCII):
            raise self._odd("names no tag of a release")
        return tag

    def tree(self, commit: str) -> dict[str, TreeEntry]:
        """Returns all that a commit holds, by path."""
        answer = self._answer(f"git/trees/{commit}?recursive=1", "it has no such commit")
        rows = answer.get("tree")
        if answer.get("truncated") is not False or not isinstance(rows, list):
            raise self._odd("lists a part of the tree")
        try:
            return dict(map(_entry, rows))
        except (TypeError, LookupError):
            raise self._odd("lists what is no file of a tree") from None

    def resolve(self, commit: str, tree: Mapping[str, TreeEntry], path: str) -> str:
        """Returns the path of the file that a path leads to, through symlinks of folders and files."""
        left, done, links = path.split("/"), list[str](), 0
        while left:
            part = left.pop(0)
            if part == "..":
                done = done[:-1]
            if part in ("", ".", ".."):
                continue
            here = "/".join([*done, part])
            entry = tree.get(here)
            if entry is None:
                raise self._unfit(f"commit {commit[:12]} has no {path}: {here} isn't there")
            if entry.mode != SYMLINK:
                done.append(part)
                continue
            links += 1
            target = self.file(commit, here, entry, MAX_LINK_SIZE).decode("utf-8", "replace")
            if links > MAX_LINKS or target.startswith("/"):
                raise self._unfit(f"the symlink {here} leads out of the tree or in a circle")
            left = target.split("/") + left
        found = "/".join(done)
        if found not in tree or tree[found].mode not in _FILES:
            raise self._unfit(f"{path} is no file in commit {commit[:12]}")
        return found

    def file(self, commit: str, path: str, entry: TreeEntry, limit: int = MAX_FILE_SIZE, title: str = "") -> bytes:
        """Returns the content of a commit's file or symlink, whose git id is the tree's.

        With a `title`, by which the fetch is reported, the store keeps it. Raises MismatchError.
        """
        if not 0 <= entry.size <= limit:
            raise FetchError(
                f"{path} has {entry.size} bytes, more than the {limit} that are read", where=self.repository
            )
        url = f"{self._raw}/{self.repository}/{commit}/{quote(path)}"
        with self._store.incoming() as incoming:
            place = self._receive(url, incoming, entry.size, None, title)
            data = incoming.data()
            if git_id(data) != entry.id:
                what = f"has other bytes than commit {commit[:12]} of {self.repository} names, and was not used"
                fix = "open the URL in a browser: a proxy may stand before it"
                raise MismatchError(what, where=place.shown, fix=fix)
            if title:
                incoming.keep()
                self._report.done(title, len(data), place.via)
        return data

    def download(self, url: str, limit: int, title: str) -> bytes:
        """Returns what another URL of the repository's has, such as an archive. Nothing holds it against a digest."""
        with self._store.incoming() as incoming:
            place = self._receive(url, incoming, limit, None, title)
            self._report.done(title, incoming.size, place.via)
            return incoming.data()

    def _commit(self, ref: str, missing: str) -> Commit:
        answer = self._answer(f"commits/{ref}", missing)
        inner = answer.get("commit")
        committer = inner.get("committer") if isinstance(inner, dict) else None
        made = committer.get("date") if isinstance(committer, dict) else None
        digest = answer.get("sha")
        if not _is_id(digest) or not isinstance(made, str):
            raise self._odd("describes no commit")
        try:
            return Commit(digest, date.fromisoformat(made[:10]))
        except ValueError:
            raise self._odd("dates the commit by no day") from None

    def _answer(self, path: str, missing: str) -> dict[str, Any]:
        """Returns the API's answer about a path of the repository, a JSON object."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        login = _ApiLogin({"Accept": "application/vnd.github+json", **headers}, missing)
        try:
            answer = json.loads(self._body(f"{self._api}/repos/{self.repository}/{path}", login))
        except (ValueError, RecursionError):
            raise self._odd("answers what is no JSON") from None
        if not isinstance(answer, dict):
            raise self._odd("answers no object")
        return answer

    def _body(self, url: str, login: _ApiLogin) -> bytes:
        with self._store.incoming() as incoming:
            self._receive(url, incoming, MAX_ANSWER_SIZE, login, "")
            return incoming.data()

    def _receive(self, url: str, incoming: Incoming, limit: int, login: _ApiLogin | None, title: str) -> Place:
        """Receives a URL's body from the mirror or the origin; returns the place that had it."""
        options, source = self._options, ArtifactSource("url", url, self.repository)
        places = [
            *mirror_places(source, None, self._mirror, options.offline),
            *origin_places(source, (), options.offline),
        ]
        reasons = []
        for others, place in zip(reversed(range(len(places))), places):
            try:
                self._receive_from(place, incoming, limit, login, title, others)
                return place
            except FetchError as error:
                reasons.append(f"{place.shown}: {error.what}")
        if options.offline:
            below = without_secrets(f"{urlsplit(url).netloc}{urlsplit(url).path}")
            what = f"{self.repository} can't be asked, and --offline connects to nothing"
            fix = f"run this without --offline, or give MIRROR=FOLDER with {below} in it"
            raise OfflineError(what, fix=fix, details=tuple(reasons))
        fix = f"check the network, and what https://github.com/{self.repository} has"
        raise FetchError(reasons[-1], fix=fix, details=tuple(reasons[:-1]))

    def _receive_from(
        self, place: Place, incoming: Incoming, limit: int, login: _ApiLogin | None, title: str, others: int
    ) -> None:
        incoming.restart()
        if isinstance(place.at, Path):
            copy_file(place.at, incoming, limit)
        elif urlsplit(place.at).scheme != "https":
            raise FetchError("is plain http, and nothing pins what it answers")
        else:
            asking: RequestLogin | None = self._options.login if place.of_mirror else login
            self._options.network.fetch(
                place.at,
                incoming,
                limit,
                progress=lambda done, total: self._report.progress(title, done, total) if title else None,
                others=others,
                login=asking,
            )
            self._report.stopped(title)
        if incoming.cut:
            raise FetchError(f"sends more than the {limit} bytes that are read")

    def _unfit(self, what: str) -> FetchError:
        return FetchError(what, where=self.repository, fix="take another commit: --commit ID")

    def _odd(self, what: str) -> FetchError:
        """Returns the refusal of an answer of the API that has another form than it should."""
        return FetchError(f"{self._api} {what}", where=self.repository, fix="see if a proxy stands before GitHub")


def git_id(data: bytes) -> str:
    """Returns git's id of a file's content. Source: git-hash-object(1)."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _entry(row: Any) -> tuple[str, TreeEntry]:
    """Returns a path and its entry, of a tree's answer. Raises TypeError and LookupError for what is none."""
    path, mode, digest, size = row["path"], row["mode"], row["sha"], row.get("size", 0)
    if not (isinstance(path, str) and isinstance(mode, str) and _is_id(digest) and type(size) is int):
        raise TypeError(row)
    return path, TreeEntry(mode, digest, size)


def _is_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(_ID.fullmatch(value))
