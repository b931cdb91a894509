"""How a cache is named and reached: proxies, log-ins, certificates, folders."""

from pathlib import Path

import pytest
from cache_lab import INPUTS, KEY, MADE, NAMES, passes

from ebpfbuild.errors import FetchError
from ebpfbuild.step_cache.opening import open_cache

TESTDATA = Path(__file__).resolve().parents[2] / "testdata"
CA_FOLDER = TESTDATA / "company-ca"
(CA,) = CA_FOLDER.glob("*.0")
SELF_SIGNED = TESTDATA / "self-signed.pem"
SECRET = "s3cr3t"


def test_a_proxy_is_asked_for_the_server_and_logs_in_by_its_own_words(server, monkeypatch, tmp_path):
    logins = set()
    server.lie = lambda request, kind, digest: logins.add(request.headers.get("Proxy-Authorization"))
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:p%40ss@"))
    said = []
    cache = open_cache("http://cache.invalid/instance", tmp_path, {}, said.append, False)
    assert cache.find(INPUTS, NAMES, passes) is None
    cache.keep({INPUTS: NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE and said == []
    assert logins == {"Basic bWU6cEBzcw=="}
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    cache = open_cache("http://cache.invalid", tmp_path, {}, said.append, False)
    assert cache.find(INPUTS, NAMES, passes) is None
    assert len(said) == 1 and "since the proxy http://127.0.0.1:1 (http_proxy) can't be reached or refuses" in said[0]


@pytest.fixture
def logged_in(server, tmp_path):
    """A function: environment -> a StepCache on the server, and what it says."""

    def make(**environ):
        said = []
        return open_cache(server.url, tmp_path, {"HOME": str(tmp_path), **environ}, said.append, False), said

    return make


def works(cache):
    assert cache.find("nothing", NAMES, passes) is None
    cache.keep({INPUTS: NAMES}, MADE)
    return cache.find(INPUTS, NAMES, passes) == MADE


def test_a_netrc_or_a_header_from_a_file_logs_in(server, logged_in, tmp_path):
    server.login = "Basic bWU6czNjcjN0"
    cache, said = logged_in()
    assert not works(cache)
    asked = "HTTP 401: wants a password: write `machine 127.0.0.1 login USER password PASSWORD` into ~/.netrc, "
    assert said == [f"CACHE: {server.url} isn't used any more in this build, since {asked}or name a file with its header in EBPF_STEP_CACHE_HEADER"]
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    cache, said = logged_in()
    assert works(cache) and said == []
    server.login = f"Bearer {SECRET}"
    cache, said = logged_in()
    assert not works(cache) and f"refuses the login in {tmp_path}/.netrc" in said[0] and SECRET not in said[0]
    (tmp_path / "token").write_text(f"Authorization: Bearer {SECRET}\n")
    cache, said = logged_in(EBPF_STEP_CACHE_HEADER="token")
    assert works(cache) and said == []


def test_certificates_of_both_sides(server, logged_in, tmp_path, monkeypatch):
    for name in ("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    server.encrypt(CA_FOLDER / "server.pem", clients=SELF_SIGNED)
    cache, said = logged_in()
    assert not works(cache) and len(said) == 1
    cache, said = logged_in(EBPF_STEP_CACHE_CERT=str(SELF_SIGNED))
    assert works(cache) and said == []
    for name, text in (("none.pem", "no certificate"), ("key.pem", "-----BEGIN CERTIFICATE-----\n")):
        (tmp_path / name).write_text(text)
        cache, said = logged_in(EBPF_STEP_CACHE_CERT=name)
        assert not works(cache) and f"{tmp_path}/{name} is no certificate to log in with" in said[0]
    cache, said = logged_in(EBPF_STEP_CACHE_CERT="gone.pem")
    assert not works(cache) and "gone.pem is no certificate to log in with (No such file or directory)" in said[0]
    monkeypatch.setenv("SSL_CERT_FILE", str(SELF_SIGNED))
    cache, said = logged_in(EBPF_STEP_CACHE_CERT=str(SELF_SIGNED))
    assert not works(cache) and "no trusted TLS connection" in said[0]


@pytest.mark.parametrize(
    "named, what",
    [
        ("ftp://cache", "CACHE=ftp://cache: neither a folder nor an http(s) URL; write https://host/path or a folder"),
        ("grpc://cache:9092", "CACHE=grpc://cache:9092: neither a folder nor an http(s) URL; "),
        ("http://", "CACHE=http://: neither a folder nor an http(s) URL; "),
        ("ftp://me:s3cr3t@cache", "CACHE: neither a folder nor an http(s) URL; "),
        ("ftp://me:s3cr3t", "CACHE: neither a folder nor an http(s) URL; "),
        ("ftp://cache/?key=s3cr3t", "CACHE: neither a folder nor an http(s) URL; "),
        ("http://cache/?key=s3cr3t", "CACHE: is no URL to look below; "),
        ("http://me:s3cr3t@cache", "CACHE: holds a user name or password; write them into ~/.netrc, or name a file with the header of a login in EBPF_STEP_CACHE_HEADER"),
    ],
)
def test_what_names_no_cache_is_an_error_without_secrets(named, what, tmp_path):
    with pytest.raises(FetchError) as caught:
        open_cache(named, tmp_path, {}, [].append, False)
    assert str(caught.value).startswith(what) and SECRET not in str(caught.value)


@pytest.mark.parametrize("named", ["shared", "./shared", "file://{}/shared", "{}/shared"])
def test_a_folder_is_named_from_the_root(named, tmp_path):
    cache = open_cache(named.format(tmp_path), tmp_path, {}, [].append, False)
    cache.keep({INPUTS: NAMES}, MADE)
    assert (tmp_path / "shared" / "ac" / KEY).is_file()
