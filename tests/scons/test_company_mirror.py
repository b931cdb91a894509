"""A build in a company's network: its mirror has a password and a certificate of a CA of the company's own."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "core"))
from faultserver import body, serving, status  # noqa: E402

CA_FOLDER = ROOT / "tests" / "testdata" / "company-ca"
SECRET = "s3cr3t-t0ken"
HEADER = "build/x86_64/include/vmlinux.h"
BY_NETRC = "Basic bWU6czNjcjN0LXQwa2Vu"  # me: and the secret

pytestmark = pytest.mark.usefixtures("one_program")


@pytest.fixture
def mirror():
    """A TLS server that gives the header to who logs in."""
    with serving() as server:
        server.encrypt(CA_FOLDER / "server.pem")
        yield server


@pytest.fixture
def project(project, mirror):
    """The test project with an x86_64 pin that the mirror alone has."""
    data = (project.folder / "pins/x86_64.h").read_bytes()
    project.edit("toolchain.toml", 'path = "pins/x86_64.h"', 'url = "https://example.invalid/a/vmlinux_6.19.h"')

    def answer(request):
        known = request.headers.get("Authorization") in (BY_NETRC, f"Bearer {SECRET}")
        (body(data) if known else status(401))(request)

    mirror.say(answer, path="/artifacts/example.invalid/a/vmlinux_6.19.h")
    project.environment = {"SSL_CERT_FILE": str(*CA_FOLDER.glob("*.0")), "no_proxy": "127.0.0.1"}
    return project


def nothing_holds_the_secret(project, text):
    made = [path for path in (*project.folder.rglob("*"), *project.cache.rglob("*")) if path.is_file() and path.name != "token"]
    assert not [path for path in made if SECRET.encode() in path.read_bytes() or BY_NETRC.encode() in path.read_bytes()]
    assert SECRET not in text and BY_NETRC not in text


def test_a_netrc_or_a_header_from_a_file_logs_in(project, mirror):
    (project.folder.parent / ".netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    done = project.scons("ARCH=x86_64", f"MIRROR={mirror.url('/artifacts')}")
    assert done.returncode == 0 and f"from the mirror {mirror.url('/artifacts')}" in done.stderr, done.stderr
    nothing_holds_the_secret(project, done.stdout + done.stderr)
    project.scons("-c", "ARCH=x86_64")
    for path in (project.cache / "sha256").iterdir():
        path.unlink()
    (project.folder.parent / ".netrc").unlink()
    (project.folder / "token").write_text(f"Authorization: Bearer {SECRET}\n")
    done = project.scons("ARCH=x86_64", f"MIRROR={mirror.url('/artifacts')}", EBPF_MIRROR_HEADER="token")
    assert done.returncode == 0, done.stderr
    nothing_holds_the_secret(project, done.stdout + done.stderr)
    assert mirror.headers[-1]["Authorization"] == f"Bearer {SECRET}"


def test_without_them_the_build_says_what_to_set(project, mirror):
    url = mirror.url("/artifacts")
    text = project.fails("ARCH=x86_64", f"MIRROR={url}", HEADER)
    asked = "HTTP 401 Unauthorized: wants a password: write `machine 127.0.0.1 login USER password PASSWORD` into ~/.netrc"
    assert f"{url}/example.invalid/a/vmlinux_6.19.h: {asked}, or name a file with its header in EBPF_MIRROR_HEADER" in text
    text = project.fails("ARCH=x86_64", f"MIRROR={url}", HEADER, EBPF_MIRROR_HEADER="token")
    assert "EBPF_MIRROR_HEADER: " in text and "token can't be read: No such file or directory" in text
    text = project.fails("ARCH=x86_64", f"MIRROR={url}", HEADER, SSL_CERT_FILE="")
    assert "by this machine's certificates: name the file with the CA that your network uses in SSL_CERT_FILE" in text
