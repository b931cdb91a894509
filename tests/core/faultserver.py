"""A web server on loopback that misbehaves as told, and counts what it is asked."""

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = Callable[[BaseHTTPRequestHandler], None]


def body(data: bytes, status: int = 200, length: int | None = -1, **headers: str) -> Answer:
    """Sends data; `length` is the Content-Length claimed, None for none at all."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        if length is not None:
            request.send_header("Content-Length", str(len(data) if length == -1 else length))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)
        request.close_connection = True

    return answer


def status(code: int, **headers: str) -> Answer:
    """Sends a status without a body worth reading."""
    return body(b"no", code, **headers)


def chunked_then_gone(data: bytes) -> Answer:
    """Sends one chunk of a chunked body and drops the connection."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        request.close_connection = True

    return answer


class Piecewise:
    """Sends a part of `data` and resets the connection; what is asked for by Range it sends from there on.

    `etag` names the bytes. One without `ranges` sends all from the first byte on, whatever is asked for.
    """

    def __init__(self, data: bytes, part: int, etag: str = '"a"', ranges: bool = True):
        self.data, self.part, self.etag, self.ranges = data, part, etag, ranges

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range") if self.ranges and request.headers.get("If-Range") == self.etag else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        request.send_response(206 if asked else 200)
        if asked:
            request.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        request.send_header("Content-Length", str(len(self.data) - start))
        request.send_header("ETag", self.etag)
        request.end_headers()
        request.wfile.write(self.data[start : start + self.part])
        if start + self.part < len(self.data):
            reset(request)


def reset(request: BaseHTTPRequestHandler) -> None:
    """Ends the connection by a reset (RST), once the client has taken what was sent before: a reset throws that away."""
    request.wfile.flush()
    time.sleep(0.02)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True


def gone(request: BaseHTTPRequestHandler) -> None:
    """Closes the connection without a word."""
    request.close_connection = True


def hang(request: BaseHTTPRequestHandler) -> None:
    """Sends nothing until the client gives up or the server ends."""
    request.server.over.wait(10)
    request.close_connection = True


def trickle(request: BaseHTTPRequestHandler) -> None:
    """Sends a byte now and then, for ever."""
    request.send_response(200)
    request.end_headers()
    try:
        while not request.server.over.wait(0.02):
            request.wfile.write(b"x")
            request.wfile.flush()
    except OSError:
        request.close_connection = True


def tunnel(request: BaseHTTPRequestHandler) -> None:
    """Does what a proxy does for CONNECT: passes on bytes both ways until either side ends."""
    host, _, port = request.path.rpartition(":")
    with socket.create_connection((host, int(port))) as beyond:
        request.send_response(200)
        request.end_headers()
        ends = {request.connection: beyond, beyond: request.connection}
        while ready := select.select(ends, [], [], 5)[0]:
            for end in ready:
                data = end.recv(1 << 16)
                if not data:
                    request.close_connection = True
                    return
                ends[end].sendall(data)


class Server(ThreadingHTTPServer):
    """`answers` holds per path the answers in order, the last one for all further requests; `seen` the paths asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.over = threading.Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def url(self, path: str = "/file") -> str:
        return f"{'https' if isinstance(self.socket, ssl.SSLSocket) else 'http'}://{self.host}{path}"

    def encrypt(self, certificate: Path) -> None:
        """From now on speaks TLS, with the key and certificate in a PEM file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def say(self, *answers: Answer, path: str = "/file") -> str:
        """The URL of a path that gives these answers."""
        self.answers[path] = list(answers)
        return self.url(path)

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        self.server.headers.append(dict(self.headers))
        answers = self.server.answers.get(self.path, [status(404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    do_CONNECT = do_GET  # a proxy's answer, by the path `host:port`

    def log_message(self, *args) -> None:
        """Quiet: pytest's output is for pytest."""


@contextmanager
def running(server):
    """Serves for the block; `server.over` is set as it ends, which answers that wait look at."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def serving():
    """A running Server, ended with the block."""
    return running(Server())


class RawServer:
    """A server that hands each connection to `answer`, which may send any bytes and take any time; counts them."""

    def __init__(self, answer: Callable[[socket.socket], None]):
        self.answer, self.connections, self.over = answer, 0, threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/file"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.answer(connection)
            except OSError:
                return

    def trickle(self, data: bytes, every: float, connection: socket.socket) -> None:
        """Sends byte by byte, the last one again and again."""
        while not self.over.wait(every):
            connection.sendall(data[:1])
            data = data[1:] or data

    def close(self) -> None:
        self.over.set()
        self._listening.close()


def after_request(data: bytes) -> Callable[[socket.socket], None]:
    """Reads a request, and sends these bytes."""

    def answer(connection: socket.socket) -> None:
        while not connection.recv(65536).endswith(b"\r\n\r\n"):
            pass
        connection.sendall(data)

    return answer
