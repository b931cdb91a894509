"""A remote cache on loopback that checks what bazel-remote checks (its server/http.go), and lies where it is told to."""

import hashlib
import re
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from backports import zstd
from faultserver import running
from google.protobuf.message import DecodeError
from remote_execution import ActionResult

_PATH = re.compile("^/?(.*/)?(ac/|cas/)([a-f0-9]{64})$")
Lie = Callable[["Handler", str, str], bool]  # a request, `ac` or `cas`, the digest -> True where it has answered


class BazelServer(ThreadingHTTPServer):
    """`entries` holds bodies by (kind, digest), `seen` each request's method and kind.

    `lie`, where given, may answer in the server's place. `room` are the bytes that it takes, `login` the Authorization
    header that it wants; `offers_zstd` has it send zstd to who takes that.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.entries: dict[tuple[str, str], bytes] = {}
        self.seen: list[tuple[str, str]] = []
        self.connections = 0
        self.lie: Lie | None = None
        self.room = 1 << 30
        self.login = ""
        self.offers_zstd = True
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if isinstance(self.socket, ssl.SSLSocket) else 'http'}://127.0.0.1:{self.server_port}"

    def encrypt(self, certificate: Path, clients: Path | None = None) -> None:
        """From now on speaks TLS; with `clients` only to those who show a certificate of theirs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def of(self, kind: str) -> list[str]:
        """The digests of a kind."""
        return sorted(digest for each, digest in self.entries if each == kind)

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        if not (found := self._addressed()):
            return
        kind, digest = found
        data = self.server.entries.get(found)
        if data is None or (kind == "ac" and not self._complete(data)):
            return self.reply(404, b"Not found")
        if kind == "cas" and self.server.offers_zstd and "zstd" in self.headers.get("Accept-Encoding", ""):
            return self.reply(200, zstd.compress(data), Content_Encoding="zstd")
        self.reply(200, data)

    def do_PUT(self) -> None:
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length else b""
        if not (found := self._addressed()):
            return
        kind, digest = found
        if length is None:
            return self.reply(400, b"PUT without Content-Length")
        if kind == "cas" and hashlib.sha256(body).hexdigest() != digest:
            return self.reply(400, b"the digest differs")
        if kind == "ac" and not (body := self._with_worker(body)):
            return self.reply(400, b"no ActionResult")
        if sum(map(len, self.server.entries.values())) + len(body) > self.server.room:
            return self.reply(507, b"no room")
        self.server.entries[found] = body
        self.reply(200, b"")

    def reply(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def _addressed(self) -> tuple[str, str] | None:
        """The entry that a request is about; None where it has its answer already."""
        found = _PATH.match(self.path)
        kind, digest = (found[2].rstrip("/"), found[3]) if found else ("", "")
        self.server.seen.append((self.command, kind))
        if self.server.login and self.headers.get("Authorization") != self.server.login:
            self.reply(401, b"who are you?", WWW_Authenticate="Basic")
        elif self.server.lie and self.server.lie(self, kind, digest):
            pass
        elif not found:
            self.reply(400, b"resource name must be a SHA256 hash in hex")
        else:
            return kind, digest
        return None

    def _complete(self, data: bytes) -> bool:
        files = ActionResult.FromString(data).output_files
        return all(file.contents or ("cas", file.digest.hash) in self.server.entries for file in files)

    @staticmethod
    def _with_worker(data: bytes) -> bytes:
        """The result as bazel-remote keeps it, with who sent it; nothing for what is none."""
        try:
            result = ActionResult.FromString(data)
        except DecodeError:
            return b""
        if any(not file.path or file.path.startswith("/") or not re.fullmatch("[a-f0-9]{64}", file.digest.hash) for file in result.output_files):
            return b""
        result.execution_metadata.worker = "127.0.0.1"
        return result.SerializeToString()

    def log_message(self, *args) -> None:
        """Quiet: pytest's output is for pytest."""


def bazel_server():
    """A running BazelServer, ended with the block."""
    return running(BazelServer())
