"""Set-up's pip looks where pip's settings say, with the passwords, certificates and proxies that they name."""

import os
import re
from pathlib import Path

import pytest
from faultserver import body, serving, status
from fetch_pip.errors import SetupError
from fetch_pip.places import fetch
from fetch_pip.settings import DEFAULT_INDEX, Settings, read_settings, shown
from fetch_pip.web import Web

from ebpfbuild.fetch.tls import Bundle
from pip_index import DATA, PIN, WHEEL, index_of

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.mark.parametrize(("place", "said"), [
    ("https://a:b@host/x?token=c", "https://…@host/x?…"),
    ("https://a@b@host", "https://…@host"),
    ("/a/b\x1b[2J", "/a/b\\x1b[2J"),
])  # fmt: skip
def test_places_as_messages_name_them(place, said):
    assert shown(place) == said


@pytest.fixture
def with_netrc(tmp_path):
    """A function: .netrc's text, places and other settings -> the wheel's bytes."""

    def run(text, *indexes, find_links=(), **more):
        (tmp_path / "netrc").write_bytes(text if isinstance(text, bytes) else text.encode())
        settings = Settings(tuple(find_links), indexes, netrc=str(tmp_path / "netrc"), **more)
        return fetch(PIN, settings, Web(settings))

    return run


HEXED = "Basic bWU6c2VjcmV0"  # me:secret


def test_a_netrc_is_read_for_a_host_that_the_settings_name(server, with_netrc):
    index = index_of(server)
    assert with_netrc("machine 127.0.0.1 login me password secret", index) == DATA
    assert [headers["Authorization"] for headers in server.headers] == [HEXED] * 2
    with_netrc("machine 127.0.0.1 login me password secret", index.replace("//", "//you:own@"))
    assert server.headers[-1]["Authorization"] == "Basic eW91Om93bg=="  # the URL's own come first


def test_a_netrc_s_passwords_go_nowhere_else(server, with_netrc):
    """Not to the host that a page links to over plain http, though it has the same name; `default` to no host that is linked to."""
    for text in ("machine 127.0.0.1 login me password secret", "default login me password secret"):
        with serving() as other:
            other.say(body(DATA), path=f"/{WHEEL}")
            index_of(server, f'<a href="{other.url(f"/{WHEEL}")}">'.encode())
            assert with_netrc(text, server.url("/simple")) == DATA
            assert server.headers[-1]["Authorization"] == HEXED and "Authorization" not in other.headers[0]


@pytest.mark.parametrize("text", ["machine", b"\xff\xfe\0", "machine other login me password secret", "macdef x\n", " " * (1 << 20) + "default login a"])
def test_a_netrc_that_has_nothing_for_it_is_passed_over(server, with_netrc, text):
    assert with_netrc(text, index_of(server)) == DATA
    assert "Authorization" not in server.headers[0]


def test_a_refused_password_is_in_no_message(server, with_netrc):
    server.say(status(401), path="/simple/pip/")
    with pytest.raises(SetupError) as caught:
        with_netrc("machine 127.0.0.1 login me password secret", server.url("/simple"))
    assert "HTTP 401: wants a user and password, in its URL or in ~/.netrc" in str(caught.value)
    assert "secret" not in str(caught.value) and "me:" not in str(caught.value)


def test_where_a_netrc_is(tmp_path):
    (tmp_path / "_netrc").touch()
    home = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    assert read_settings(home).netrc == f"{tmp_path}/_netrc"
    (tmp_path / ".netrc").touch()
    assert read_settings(home).netrc == f"{tmp_path}/.netrc"
    assert read_settings({**home, "NETRC": "/none"}).netrc is None
    os.mkfifo(tmp_path / "pipe")
    assert read_settings({**home, "NETRC": str(tmp_path / "pipe")}).netrc is None


@pytest.mark.parametrize(("trusted", "reached"), [
    (["127.0.0.1"], True), (["127.0.0.1:{port}"], True), (["127.0.0.1:1", "localhost", "127.0.0"], False), ([], False),
])  # fmt: skip
def test_a_trusted_host_needs_no_certificate_and_others_do(server, tmp_path, trusted, reached):
    server.encrypt(ROOT / "tests" / "testdata" / "self-signed.pem")
    index = index_of(server)
    text = " ".join(trusted).format(port=server.server_address[1])
    settings = read_settings({"PIP_TRUSTED_HOST": text, "PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull})
    if reached:
        assert fetch(PIN, settings, Web(settings)) == DATA
        server.say(body(b"other"), path=f"/files/{WHEEL}")
        with pytest.raises(SetupError, match="is not the pip-26.3"):
            fetch(PIN, settings, Web(settings))
    else:
        with pytest.raises(SetupError, match="no trusted TLS connection: self-signed certificate, by .*SSL_CERT_FILE .*PIP_TRUSTED_HOST"):
            fetch(PIN, settings, Web(settings))


@pytest.mark.parametrize("variable", ["PIP_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_a_company_s_ca(server, variable):
    folder = ROOT / "tests" / "testdata" / "company-ca"
    server.encrypt(folder / "server.pem")
    bundle = folder if variable == "SSL_CERT_DIR" else next(folder.glob("*.0"))
    settings = read_settings({variable: str(bundle), "PIP_INDEX_URL": index_of(server), "PIP_CONFIG_FILE": os.devnull})
    assert fetch(PIN, settings, Web(settings)) == DATA


def test_the_environment_comes_before_the_files_and_the_user_before_the_machine(tmp_path):
    for path, text in {
        "etc/xdg/pip/pip.conf": "[global]\nindex-url = https://xdg/\nproxy = http://proxy:1",
        "etc/pip.conf": "[global]\nindex-url = https://machine/\ncert = /machine.pem\nfind-links = /a\n  /b",
        "home/.config/pip/pip.conf": "[install]\nindex_url = https://install/\n[global]\nindex-url = https://user/%(x)s",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    own = {"HOME": str(tmp_path / "home")}
    machine_s = (Bundle("PIP_CERT", "/machine.pem"),)
    assert read_settings({}, machine=tmp_path) == Settings(("/a", "/b"), ("https://machine/",), machine_s, "http://proxy:1")
    assert read_settings(own, machine=tmp_path).indexes == ("https://install/",)
    given = {**own, "PIP_INDEX_URL": "https://given/", "PIP_EXTRA_INDEX_URL": "https://x/ https://y/", "PIP_CERT": "/mine.pem"}
    assert read_settings(given, machine=tmp_path)[1:3] == (("https://given/", "https://x/", "https://y/"), (Bundle("PIP_CERT", "/mine.pem"),))
    assert read_settings({"PIP_CONFIG_FILE": "/dev/null"}, machine=tmp_path).indexes == (DEFAULT_INDEX,)


def test_a_file_that_is_no_configuration_is_left_to_pip(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "pip.conf").write_bytes(b"\xff\0 no [section")
    assert read_settings({}, machine=tmp_path).indexes == (DEFAULT_INDEX,)


@pytest.mark.parametrize("environment", [{"PIP_NO_INDEX": "1"}, {"PIP_NO_INDEX": "True"}, {}])
def test_offline_leaves_what_lies_here(environment, tmp_path):
    environment = {**environment, "PIP_FIND_LINKS": "/wheels https://host/links.html file:///more", "PIP_INDEX_URL": "https://host/"}
    found = read_settings(environment, offline=not environment.get("PIP_NO_INDEX"), machine=tmp_path)
    assert found.find_links == ("/wheels", "file:///more") and found.indexes == ()


def test_certificates_of_the_environment(tmp_path):
    bundle = {"REQUESTS_CA_BUNDLE": "/bundle", "SSL_CERT_DIR": "/folder"}
    assert read_settings(bundle, machine=tmp_path).bundles == (Bundle("REQUESTS_CA_BUNDLE", "/bundle"),)
    assert read_settings({**bundle, "PIP_CERT": "/pip"}, machine=tmp_path).bundles == (Bundle("PIP_CERT", "/pip"),)


def test_the_proxy_is_asked(server, tmp_path):
    server.say(body(DATA), path=f"http://elsewhere.invalid/{WHEEL}")
    settings = Settings((f"http://elsewhere.invalid/{WHEEL}",), (), (), f"http://{server.host}")
    assert fetch(PIN, settings, Web(settings)) == DATA


@pytest.mark.parametrize(("environment", "reason"), [
    ({"https_proxy": "http://me:secret@{proxy}"}, "HTTP 407: its proxy wants a user and password; write https_proxy=http://USER"),
    ({"HTTPS_PROXY": "{proxy}", "no_proxy": "elsewhere.invalid"}, "HTTP 407: its proxy wants"),
    ({"all_proxy": "socks5h://me:secret@{proxy}"}, "its proxy …@{proxy} (all_proxy) speaks SOCKS"),
    ({"https_proxy": "http://[me:secret@{proxy}"}, "(https_proxy) is no URL: write https_proxy=http://HOST:PORT"),
    ({"https_proxy": "{proxy}", "no_proxy": "127.0.0.0/8"}, "redirects more than 5 times, or to no web server"),
    ({"https_proxy": "{proxy}", "NO_PROXY": ".invalid, host.invalid"}, "Name or service|resolution|No address|not known"),
])  # fmt: skip
def test_what_a_proxy_of_the_environment_says(server, monkeypatch, request, environment, reason):
    server.say(status(407), path="host.invalid:443")
    server.say(status(302, Location="//"), path="/simple/pip/")
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(proxy=server.host))
    index = "https://host.invalid/simple"
    if "/8" in environment.get("no_proxy", ""):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        index = server.url("/simple")
    if "NO_PROXY" in environment:
        request.getfixturevalue("online")
    settings = read_settings({"PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull})
    with pytest.raises(SetupError) as caught:
        fetch(PIN, settings, Web(settings, lambda pause: None))
    assert re.search(reason.format(proxy=server.host) if "|" in reason else re.escape(reason.format(proxy=server.host)), str(caught.value))
    assert "secret" not in str(caught.value) and "bWU6" not in str(caught.value)
