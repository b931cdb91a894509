"""A company's network: a CA of its own, proxies, a mirror with a password. All of it on loopback."""

import ssl
from pathlib import Path

import pytest
import requests
from faultserver import body, serving, status, tunnel
from hypothesis import given
from hypothesis import strategies as st
from socks_server import DOMAIN, SocksServer

from ebpfbuild.errors import FetchError
from ebpfbuild.escape import printable
from ebpfbuild.fetch.mirror import Login, mirror_login
from ebpfbuild.fetch.network import Network
from ebpfbuild.fetch.passwords import basic
from ebpfbuild.fetch.proxies import proxy_for
from ebpfbuild.fetch.store import Store
from ebpfbuild.fetch.tls import Bundle, CertificatesError, trusting

TESTDATA = Path(__file__).resolve().parents[2] / "testdata"
CA_FOLDER = TESTDATA / "company-ca"
(CA,) = CA_FOLDER.glob("*.0")  # named by its subject's hash, as OpenSSL looks it up in a folder
OTHER = TESTDATA / "self-signed.pem"
DATA = b"struct task_struct {};\n" * 500
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
SECRET = "s3cr3t-t0ken"


@pytest.fixture(autouse=True)
def plain_network(no_proxy, monkeypatch):
    """Nothing that this machine says of its network counts."""
    for name in (*VARIABLES, "no_proxy", "NO_PROXY", "NETRC"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fetch(tmp_path):
    """A function: a URL and how to log in -> the bytes."""

    def run(url, login=None):
        with Store(tmp_path / "cache").incoming() as incoming:
            Network(sleep=lambda pause: None).fetch(url, incoming, 1 << 20, login=login)
            return incoming.data()

    return run


@pytest.fixture
def refused(fetch):
    """A function: the same -> the reason, which holds no secret and prints."""

    def run(url, login=None):
        with pytest.raises(FetchError) as caught:
            fetch(url, login)
        assert SECRET not in str(caught.value) and basic(f"me:{SECRET}") not in str(caught.value)
        assert caught.value.what == printable(caught.value.what)
        return caught.value.what

    return run


# Certificates


@pytest.mark.parametrize("variable, bundle", [*((name, CA) for name in VARIABLES[:3]), *((name, CA_FOLDER) for name in VARIABLES)])
def test_a_ca_that_the_environment_names(server, fetch, monkeypatch, variable, bundle):
    server.encrypt(CA_FOLDER / "server.pem")
    monkeypatch.setenv(variable, str(bundle))
    assert fetch(server.say(body(DATA))) == DATA


def test_a_ca_of_this_machine_s(server, fetch, monkeypatch):
    """`load_default_certs` reads OpenSSL's own file and folder, where a CA of the system is put (/etc/ssl/certs)."""
    server.encrypt(CA_FOLDER / "server.pem")
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda self: self.load_verify_locations(CA))
    trusting.cache_clear()
    try:
        assert fetch(server.say(body(DATA))) == DATA
    finally:
        trusting.cache_clear()


def test_where_this_machine_has_none_certifi_s_count():
    assert trusting((), requests.certs.where()).cert_store_stats()["x509_ca"] > 50


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_ca_that_nobody_named_is_told_with_the_variable_to_set(server, refused, monkeypatch, variable):
    server.encrypt(CA_FOLDER / "server.pem")
    url = server.say(body(DATA))
    unnamed = "by this machine's certificates: name the file with the CA that your network uses in SSL_CERT_FILE"
    assert refused(url) == f"no trusted TLS connection: unable to get local issuer certificate, {unnamed}"
    monkeypatch.setenv(variable, str(OTHER))
    assert refused(url).endswith(f", by {variable}={OTHER}: add the CA that your network uses to it")


def test_another_fault_of_a_certificate_has_nothing_to_do_with_a_ca(server, refused, monkeypatch):
    server.encrypt(CA_FOLDER / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    reason = refused(server.say(body(DATA)).replace("127.0.0.1", "localhost"))
    assert "Hostname mismatch" in reason and "CA" not in reason


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("text", [None, "", "no certificate", b"\xff\0"])
def test_a_bundle_that_holds_none_is_told_with_its_variable(refused, tmp_path, monkeypatch, variable, text):
    path = tmp_path / "bundle.pem"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    monkeypatch.setenv(variable, str(path))
    reason = refused("https://127.0.0.1:1/file")
    assert reason.startswith(f"{path} holds no certificates (") and reason.endswith(f"); correct {variable}")
    with pytest.raises(CertificatesError):
        trusting((Bundle(variable, str(path)),))


# Proxies


@pytest.fixture
def origin():
    """A TLS server with a certificate of the company's CA."""
    with serving() as running:
        running.encrypt(CA_FOLDER / "server.pem")
        running.say(body(DATA))
        yield running


def test_https_through_a_proxy_and_past_it(server, origin, fetch, refused, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@{server.host}")
    server.say(tunnel, path=origin.host)
    assert fetch(origin.url()) == DATA
    assert server.seen == [origin.host] and server.headers[0]["Proxy-Authorization"] == basic(f"me:{SECRET}")
    assert "Proxy-Authorization" not in origin.headers[0]
    server.say(status(403), path=origin.host)
    reason = f"the proxy http://…@{server.host} (https_proxy) can't be reached or refuses; no_proxy names hosts that need none, 2 tries"
    assert refused(origin.url()) == reason
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch(origin.url()) == DATA


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password(server, refused, monkeypatch, scheme):
    monkeypatch.setenv(f"{scheme}_proxy", f"http://me:{SECRET}@{server.host}")
    path = {"http": "http://host.example/file", "https": "host.example:443"}[scheme]
    server.say(status(407), path=path)
    wants = f"the proxy http://…@{server.host} ({scheme}_proxy) wants a user and password, or others: "
    assert refused(f"{scheme}://host.example/file").endswith(f"{wants}write {scheme}_proxy=http://USER:PASSWORD@HOST:PORT")
    assert len(server.seen) == 1


def test_a_socks_proxy_says_what_to_install(refused, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", f"socks5h://me:{SECRET}@127.0.0.1:1")
    monkeypatch.setattr("ebpfbuild.fetch.http_failures.find_spec", lambda name: None if name == "socks" else name)
    reason = refused("https://host.example/file")
    assert "…@127.0.0.1:1 (ALL_PROXY) speaks SOCKS, which needs the package PySocks: install it (" in reason
    assert '" -m pip install PySocks), or name an HTTP proxy' in reason


@pytest.fixture
def socks():
    """A function: as SocksServer -> one that runs. Skipped without PySocks, which requests asks for."""
    pytest.importorskip("socks", reason="PySocks is not installed")
    running = []
    yield lambda **how: running.append(SocksServer(**how)) or running[-1]
    for each in running:
        each.close()


@pytest.mark.parametrize("login", [None, f"me:{SECRET}"])
def test_https_through_a_socks_proxy_and_past_it(socks, origin, fetch, monkeypatch, login):
    proxy = socks(login=login)
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    monkeypatch.setenv("all_proxy", f"socks5h://{login + '@' if login else ''}{proxy.host}")
    assert fetch(origin.url()) == DATA
    assert proxy.asked == [(DOMAIN, "127.0.0.1", origin.server_port)] or proxy.asked == [(1, "127.0.0.1", origin.server_port)]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch(origin.url()) == DATA and len(proxy.asked) == 1


@pytest.mark.parametrize("scheme, asked", [("socks5h", (DOMAIN, "host.invalid")), ("socks5", (1, "127.0.0.1"))])
def test_who_looks_a_name_up(socks, server, fetch, monkeypatch, scheme, asked):
    """socks5h has the proxy do it, socks5 this machine."""
    proxy = socks()
    monkeypatch.setenv("http_proxy", f"{scheme}://{proxy.host}")
    url = server.say(body(DATA)).replace("127.0.0.1", "host.invalid" if scheme == "socks5h" else "localhost")
    assert fetch(url) == DATA and proxy.asked == [(*asked, server.server_port)]


@pytest.mark.parametrize(
    "how, told",
    [
        ({"status": 5}, "the proxy …@{host} (all_proxy) can't be reached or refuses; no_proxy names"),
        ({"status": 1, "login": f"me:{SECRET}"}, "the proxy …@{host} (all_proxy) can't be reached or refuses; "),
        ({"login": "me:another"}, "the proxy …@{host} (all_proxy) wants a user and password, or others: "
                                  "write all_proxy=socks5h://USER:PASSWORD@HOST:PORT"),
    ],
)  # fmt: skip
def test_a_socks_proxy_that_refuses(socks, origin, refused, monkeypatch, how, told):
    proxy = socks(**how)
    monkeypatch.setenv("all_proxy", f"socks5h://me:{SECRET}@{proxy.host}")
    assert told.format(host=proxy.host) in refused(origin.url())
    proxy.close()


@pytest.mark.parametrize("url", ["ftp://proxy", "http://", "http://[x", "http://proxy:x", f"proxy:me:{SECRET}@"])
def test_a_proxy_that_is_no_url(refused, monkeypatch, url):
    monkeypatch.setenv("HTTPS_PROXY", url)
    assert "(HTTPS_PROXY) is no URL: write HTTPS_PROXY=http://HOST:PORT" in refused("https://host.example/file")


@pytest.mark.parametrize("host", ["host.example", "a.host.example:8080", "10.1.2.3", "127.0.0.1:8080", "[::1]"])
@pytest.mark.parametrize("entry", [
    "example", ".example", "host.example", "a.host.example:8080", "10.0.0.0/8", "10.1.2.3", "127.0.0.1", "*", "10.0.0.0/99", "x",
])  # fmt: skip
def test_what_no_proxy_spares_for_requests_it_spares_here(monkeypatch, host, entry):
    monkeypatch.setenv("no_proxy", entry)
    ours = [proxy_for(f"https://{host}/x", {"https_proxy": "p", name: entry}) is None for name in ("no_proxy", "NO_PROXY")]
    assert ours == [requests.utils.should_bypass_proxies(f"https://{host}/x", None)] * 2
    assert proxy_for(f"https://{host}/x", {"https_proxy": "p", "no_proxy": f" other,{entry.upper()} , "}) is None or not ours[0]


@pytest.mark.parametrize("host, entry, spared", [
    ("myexample", "example", False), ("host.example", "*.example", True), ("[::1]", "::1", True), ("[::1]", "[::1]:443", False),
    ("127.0.0.1:8080", "127.0.0.1:8080", True), ("[fd00::1]", "fd00::/8", True), ("host.example:1", "host.example:2", False), ("HOST.example", "Host.Example", True),
])  # fmt: skip
def test_what_no_proxy_spares(host, entry, spared):
    assert (proxy_for(f"https://{host}/x", {"https_proxy": "p", "no_proxy": entry}) is None) == spared


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_in_a_variable_is_a_proxy_or_none(proxy, no_proxy):
    found = proxy_for("https://host.example/x", {"https_proxy": proxy, "no_proxy": no_proxy})
    assert found is None or isinstance(found.usable, bool)


def test_which_variable_counts():
    given = {"https_proxy": "a", "HTTPS_PROXY": "b", "all_proxy": "c", "http_proxy": "d"}
    assert proxy_for("https://h/", given).url == "http://a"
    assert proxy_for("http://h/", {"all_proxy": "socks5://c"}).variable == "all_proxy"
    assert proxy_for("http://h/", {"https_proxy": "a", "http_proxy": ""}) is None


# A mirror with a password


def guarded(expected, name="Authorization"):
    """An answer: the bytes for who sends this header, else 401."""
    return lambda request: (body(DATA) if request.headers.get(name) == expected else status(401))(request)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A function: name and text of a file in the project -> nothing; HOME is the project."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def write(name, text):
        (tmp_path / name).write_text(text)

    return write


def login_of(server, tmp_path, header=None):
    return mirror_login(server.url("/mirror"), {"HOME": str(tmp_path), **({"EBPF_MIRROR_HEADER": header} if header else {})}, tmp_path)


@pytest.mark.parametrize("entry", ["machine 127.0.0.1", "machine other login a password b machine 127.0.0.1", "default"])
def test_a_netrc_is_read_for_the_mirror(server, fetch, files, tmp_path, entry):
    files(".netrc", f"{entry} login me password {SECRET}\n")
    assert fetch(server.say(guarded(basic(f"me:{SECRET}"))), login_of(server, tmp_path)) == DATA


@pytest.mark.parametrize("name", ["Authorization", "X-JFrog-Art-Api"])
def test_a_header_from_a_file_comes_before_a_netrc(server, fetch, files, tmp_path, name):
    files(".netrc", "default login other password other\n")
    files("header", f"{name}:  Bearer {SECRET} \r\n\n")
    assert fetch(server.say(guarded(f"Bearer {SECRET}", name)), login_of(server, tmp_path, "header")) == DATA


@pytest.mark.parametrize("same_host", [True, False])
def test_a_login_follows_no_redirect(server, refused, fetch, files, tmp_path, same_host):
    files("header", f"Authorization: Bearer {SECRET}\n")
    with serving() as other:
        end = server if same_host else other
        end.say(body(DATA), path="/signed")
        assert fetch(server.say(status(302, Location=end.url("/signed"))), login_of(server, tmp_path, "header")) == DATA
        assert server.headers[0]["Authorization"] == f"Bearer {SECRET}" and "Authorization" not in end.headers[-1]
        end.say(guarded(f"Bearer {SECRET}"), path="/signed")
        reason = "HTTP 401 Unauthorized: wants a password, and those go to MIRROR= alone, across no redirect"
        assert refused(server.url(), login_of(server, tmp_path, "header")) == reason


def test_each_401_says_what_to_set(server, refused, files, tmp_path):
    url = server.say(status(401))
    entry = "machine 127.0.0.1 login USER password PASSWORD"
    asked = f"HTTP 401 Unauthorized: wants a password: write `{entry}` into ~/.netrc, or name a file with its header in EBPF_MIRROR_HEADER"
    assert refused(url, login_of(server, tmp_path)) == asked
    files(".netrc", f"default login me password {SECRET}\n")
    assert refused(url, login_of(server, tmp_path)) == f"HTTP 401 Unauthorized: refuses the login in {tmp_path}/.netrc"
    files("header", f"Authorization: Bearer {SECRET}\n")
    server.say(status(403))
    assert refused(url, login_of(server, tmp_path, "header")) == "HTTP 403 Forbidden: refuses the login in header"
    assert len(server.seen) == 3


@pytest.mark.parametrize("text, what", [
    (None, "can't be read: No such file or directory"),
    ("", "is empty"),
    (f"Bearer {SECRET}\n", "is no header for a login"),
    (f"Authorization: {SECRET}\nHost: other\n", "is no header for a login"),
    (f"Authorization: {SECRET}\n\x1b[2J: x\n", "is no header for a login"),
    (f"Authorization: {SECRET}\x00\n", "is no header for a login"),
    ("Authorization: é\n", "is no header for a login"),
    ("x" * 9000, "is larger than the 8192 bytes that are read"),
])  # fmt: skip
def test_a_file_that_holds_no_header(server, files, tmp_path, text, what):
    if text is not None:
        files("header", text)
    with pytest.raises(FetchError) as caught:
        login_of(server, tmp_path, "header")
    assert str(caught.value).startswith("EBPF_MIRROR_HEADER: ") and what in str(caught.value) and SECRET not in str(caught.value)


@pytest.mark.parametrize("mirror", [None, "", "folder", "/folder", "file:///folder", "http://[", "ftp://host"])
def test_what_is_no_server_is_told_no_password(tmp_path, mirror):
    assert mirror_login(mirror, {"EBPF_MIRROR_HEADER": "none"}, tmp_path) is None


def test_the_login_goes_to_the_mirror_and_to_no_origin(world, server):
    """And not into what the build says."""
    login = Login("127.0.0.1", {"Authorization": f"Bearer {SECRET}"}, "header")
    got = world.header(mirror=server.url("/mirror"), login=login)
    sent = dict(zip(server.seen, (headers.get("Authorization") for headers in server.headers), strict=True))
    mirrored = (f"/mirror/{server.host}/vmlinux.h", f"/mirror/sha256/{got.sha256}")
    assert sent == {**dict.fromkeys(mirrored, f"Bearer {SECRET}"), "/vmlinux.h": None}
    assert SECRET not in f"{login} {login!r} {got} {world.heard.notices} {world.heard.fetched}"
