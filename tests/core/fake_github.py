"""A GitHub on loopback: repositories with commits, trees, symlinks and releases, as the API and the raw files show them."""

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from faultserver import body, status

from ebpfbuild.fetch.github import GitHub, git_id
from ebpfbuild.fetch.network import Network
from ebpfbuild.fetch.options import FetchOptions

API, RAW = "/api.github.com", "/raw.githubusercontent.com"


class Link(NamedTuple):
    """A symlink's target."""

    target: str


class FakeGitHub:
    """One repository, of a server or in a folder. The paths are those below a mirror, so that MIRROR= finds it as well."""

    def __init__(self, place, repository="libbpf/vmlinux.h"):
        self.server, self.repository = place, repository
        self.ids = []

    def say(self, path, answer):
        """Answers a path of the API's."""
        self._put(f"{API}/repos/{self.repository}/{path}", answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def _put(self, path, data):
        if not isinstance(self.server, Path):
            self.server.say(body(data), path=path)
            return
        file = self.server / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def commit(self, files, day="2026-08-18", newest=True):
        """Adds a commit that holds these files, bytes or Links by path, and returns its id."""
        found = hashlib.sha1(f"{len(self.ids)} {sorted(files)} {day}".encode()).hexdigest()
        rows = []
        for path, content in files.items():
            data = content.target.encode() if isinstance(content, Link) else content
            mode = "120000" if isinstance(content, Link) else "100644"
            rows.append({"path": path, "mode": mode, "type": "blob", "sha": git_id(data), "size": len(data), "url": "…"})
            self._put(f"{RAW}/{self.repository}/{found}/{path}", data)
        folders = {str(folder) for path in files for folder in PurePosixPath(path).parents} - {"."}
        rows += [{"path": folder, "mode": "040000", "type": "tree", "sha": "0" * 40, "url": "…"} for folder in sorted(folders)]
        self.say(f"git/trees/{found}?recursive=1", {"sha": found, "url": "…", "tree": rows, "truncated": False})
        answer = {"sha": found, "commit": {"committer": {"name": "me", "date": f"{day}T21:04:06Z"}, "message": "…"}, "files": []}
        for name in (found, found[:7], found[:12], *(["HEAD"] if newest else [])):
            self.say(f"commits/{name}", answer)
        for older in self.ids:
            self.say(f"compare/{older}...{found}?per_page=1&page=2", {"status": "ahead", "ahead_by": 1, "commits": []})
        self.ids.append(found)
        return found

    def release(self, tag, commit):
        """Makes a commit the one of the newest release."""
        path = f"{API}/repos/{self.repository}/commits"
        self.server.answers[f"{path}/tags/{tag}"] = self.server.answers[f"{path}/{commit}"]
        self.say("releases/latest", {"tag_name": tag, "draft": False})

    def refuse(self, path, code, **headers):
        """Answers a path of the API's with a status."""
        self.server.say(status(code, **headers), path=f"{API}/repos/{self.repository}/{path}")

    def client(self, folder, report, token="", **options):
        """Returns the core's GitHub, which asks this one; pauses are not slept."""
        options = FetchOptions(folder / "cache", network=Network(sleep=lambda seconds: None), **options)
        return GitHub(self.repository, options, report, token, self.server.url(API), self.server.url(RAW))
