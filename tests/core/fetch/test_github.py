"""GitHub's API and raw files: what is taken of an answer, held against git's ids, and what is refused in one line."""

import json
from pathlib import Path

import pytest
from artifact_world import Heard
from fake_github import API, RAW, FakeGitHub, Link
from faultserver import body, serving, status
from hypothesis import given, settings
from hypothesis import strategies as st

from ebpfbuild.errors import EbpfError, FetchError, MismatchError, OfflineError
from ebpfbuild.fetch.github import GitHub, TreeEntry, git_id
from ebpfbuild.fetch.options import FetchOptions

TOKEN = "ghp_s3cr3tT0ken"
HEADER = b"#ifndef __VMLINUX_H__\nstruct pt_regs { long orig_ax; };\n#endif\n"
FILES = {
    "include/x86_64/vmlinux_6.19.h": HEADER,
    "include/x86_64/vmlinux.h": Link("vmlinux_6.19.h"),
    "include/x86": Link("x86_64"),
    "include/odd": Link("../include/./x86"),
    "include/round": Link("round"),
    "include/out": Link("/etc/passwd"),
    "include/gone": Link("nowhere"),
}


@pytest.fixture
def fake(tls_server):
    return FakeGitHub(tls_server)


@pytest.fixture
def client(fake, tmp_path):
    """Makes a client with these options."""
    return lambda **options: fake.client(tmp_path, Heard(), **options)


def refusal(call, *arguments, kind=FetchError):
    """The text of the one line with which a call is refused."""
    with pytest.raises(kind) as caught:
        call(*arguments)
    assert TOKEN not in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_symlinks_of_files_and_folders_lead_to_the_file(fake, client):
    newest = fake.commit(FILES)
    github = client()
    commit = github.newest()
    assert commit.id == newest and commit.day.isoformat() == "2026-08-18"
    tree = github.tree(commit.id)
    for path in ("x86_64/vmlinux.h", "x86/vmlinux.h", "odd/vmlinux.h", "x86/vmlinux_6.19.h"):
        assert github.resolve(newest, tree, f"include/{path}") == "include/x86_64/vmlinux_6.19.h"
    path = "include/x86_64/vmlinux_6.19.h"
    assert github.file(newest, path, tree[path], title="vmlinux.h") == HEADER
    for path, said in (("round/x", "in a circle"), ("out", "leads out of the tree"), ("gone", "include/nowhere isn't there"),
                       ("x86", "is no file"), ("../../etc/passwd", "etc isn't there"), ("arm/vmlinux.h", "include/arm isn't there")):
        assert said in refusal(github.resolve, newest, tree, f"include/{path}")


def test_a_commit_is_asked_for_by_its_digits_and_is_one_of_the_branch(fake, client):
    older = fake.commit(FILES, day="2026-02-23")
    newest = fake.commit(FILES)
    github = client()
    assert [github.commit(text).id for text in (older, older[:7], newest[:12].upper())] == [older, older, newest]
    for text in ("main", "", "c3291", "0" * 41, "../../user", "deadbeef\n", "tags/v1"):
        assert "is no commit; write 7 to 40 hex digits" in refusal(github.commit, text)
    fake.refuse("commits/deadbeef", 422)
    said = refusal(github.commit, "deadbeef")
    assert "HTTP 422 Unprocessable " in said  # Content since Python 3.13
    assert ": there is no commit deadbeef; check the network, and what https://github.com/" in said
    fork = fake.commit(FILES, day="2026-08-19", newest=False)
    fake.say(f"compare/{fork}...{newest}?per_page=1&page=2", {"status": "diverged"})
    assert "maybe one of a fork's" in refusal(github.commit, fork)
    fake.server.answers[f"{API}/repos/libbpf/vmlinux.h/commits/{older}"] = fake.server.answers[f"{API}/repos/libbpf/vmlinux.h/commits/{fork}"]
    assert "answers" in refusal(github.commit, older)


def test_a_file_that_git_s_id_does_not_name_is_refused(fake, client):
    newest = fake.commit(FILES)
    github = client()
    tree, path = github.tree(newest), "include/x86_64/vmlinux_6.19.h"
    url = f"{RAW}/libbpf/vmlinux.h/{newest}/{path}"
    for bad in (HEADER[:-1] + b"x", HEADER[:-1], b""):
        fake.server.say(body(bad), path=url)
        assert "has other bytes than commit" in refusal(github.file, newest, path, tree[path], kind=MismatchError)
    fake.server.say(body(HEADER + b"x"), path=url)
    assert f"sends more than the {len(HEADER)} bytes" in refusal(github.file, newest, path, tree[path])
    huge = TreeEntry("100644", git_id(b""), 1 << 40)
    assert "bytes, more than the" in refusal(github.file, newest, path, huge)


def test_the_token_goes_to_the_api_alone_and_across_no_redirect(fake, client):
    newest = fake.commit(FILES)
    github = client(token=TOKEN)
    path = "include/x86_64/vmlinux_6.19.h"
    github.file(newest, path, github.tree(newest)[path])
    moved = fake.server.url("/elsewhere")
    fake.server.answers["/elsewhere"] = fake.server.answers[f"{API}/repos/libbpf/vmlinux.h/commits/HEAD"]
    fake.refuse("commits/HEAD", 302, Location=moved)
    assert github.newest().id == newest
    for asked, headers in zip(fake.server.seen, fake.server.headers, strict=True):
        assert headers.get("Authorization") == (f"Bearer {TOKEN}" if asked.startswith(API) else None), asked
    assert TOKEN not in repr(github)
    for bad in ("a b", "a\nX: y", "\u20ac", "x" * 2000):
        assert bad not in refusal(lambda token: client(token=token), bad)


@pytest.mark.parametrize("code, said", [
    (401, "refuses the token in GITHUB_TOKEN"), (403, "the API's limit of requests is used up: try again"),
    (429, "the API's limit of requests is used up: try again"), (404, "it has no default branch, or is gone"),
])
def test_a_refusal_is_told_at_once_with_the_way_out(fake, client, code, said):
    fake.refuse("commits/HEAD", code, Retry_After="3600")
    assert said in refusal(client(token=TOKEN).newest)
    assert len(fake.server.seen) == 1
    if code in (403, 429):
        assert "used up: set GITHUB_TOKEN, or try again in an hour" in refusal(client().newest)


def test_nothing_is_asked_over_plain_http_or_offline(fake, client, tmp_path):
    fake.commit(FILES)
    assert "connects to nothing" in refusal(client(offline=True).newest, kind=OfflineError)
    with serving() as plain:
        plain.say(body(b"{}"), path=f"{API}/repos/libbpf/vmlinux.h/commits/HEAD")
        FakeGitHub(plain).commit(FILES)
        assert "is plain http" in refusal(FakeGitHub(plain).client(tmp_path, Heard(), token=TOKEN).newest)
        assert client(mirror=plain.url("")).newest().id == fake.ids[0]
        assert not plain.seen
    assert len(fake.server.seen) == 1


def test_a_mirror_is_asked_first_by_its_own_login_and_a_folder_serves_offline(fake, client, tmp_path):
    newest = fake.commit(FILES)
    place = tmp_path / "mirror" / fake.server.host / "api.github.com/repos/libbpf/vmlinux.h/commits/HEAD"
    place.parent.mkdir(parents=True)
    place.write_bytes(b'{"sha": "%s", "commit": {"committer": {"date": "2020-02-02T00:00:00Z"}}}' % newest.encode())
    assert client(mirror=str(tmp_path / "mirror"), offline=True).newest().day.year == 2020
    assert not fake.server.seen
    place.unlink()
    assert client(mirror=str(tmp_path / "mirror")).newest().day.year == 2026


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["0" * 40, "2026-13-40", "120000", "v1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["sha", "commit", "committer", "date", "tree", "truncated", "path", "mode", "size", "tag_name"]), inner, max_size=5),
    max_leaves=12)))
def test_an_answer_of_any_form_is_taken_or_refused_in_one_line(nonsense):
    github = GitHub("a/b", FetchOptions(Path("/nowhere")), Heard())
    data = nonsense if isinstance(nonsense, bytes) else json.dumps(nonsense).encode()
    github._body = lambda url, login: data
    for call in (github.newest, github.latest_release, lambda: github.tree("0" * 40)):
        try:
            call()
        except EbpfError as error:
            assert "\n" not in str(error)


def test_deeply_nested_and_endless_answers_end(fake, client):
    fake.say("commits/HEAD", b"[" * 100_000)
    assert "answers what is no JSON" in refusal(client().newest)
    fake.server.say(status(500), path=f"{API}/repos/libbpf/vmlinux.h/commits/HEAD")
    assert "HTTP 500" in refusal(client().newest)
