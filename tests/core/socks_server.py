"""A SOCKS5 proxy on loopback: RFC 1928, with a user and password by RFC 1929 where it wants them."""

import select
import socket
import struct

from faultserver import RawServer

NO_LOGIN, USER_PASSWORD, NONE_FITS = 0, 2, 0xFF
DOMAIN = 3  # the kind of an address that is a name, which the proxy is to look up


class SocksServer(RawServer):
    """Connects to 127.0.0.1 whatever host it is asked for, and notes what that was.

    login    "user:password" that it wants, or None
    status   what it answers to CONNECT; 0 is success
    asked    (kind of the address, host, port) of each CONNECT
    """

    def __init__(self, login=None, status=0):
        super().__init__(self._answer)
        self.login, self.status, self.asked = login, status, []

    @property
    def host(self):
        """The proxy's HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def _answer(self, client):
        stream = client.makefile("rb")
        _, count = stream.read(2)
        method = USER_PASSWORD if self.login else NO_LOGIN
        if method not in stream.read(count):
            client.sendall(bytes([5, NONE_FITS]))
            return
        client.sendall(bytes([5, method]))
        if self.login and not self._logged_in(client, stream):
            return
        _, _, _, kind = stream.read(4)
        host = stream.read(stream.read(1)[0]).decode() if kind == DOMAIN else socket.inet_ntoa(stream.read(4))
        (port,) = struct.unpack("!H", stream.read(2))
        self.asked.append((kind, host, port))
        client.sendall(bytes([5, self.status, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self.status == 0:
            self._pass_on(client, port)

    def _logged_in(self, client, stream):
        stream.read(1)
        user, password = (stream.read(stream.read(1)[0]).decode() for _ in range(2))
        good = f"{user}:{password}" == self.login
        client.sendall(bytes([1, 0 if good else 1]))
        return good

    def _pass_on(self, client, port):
        with socket.create_connection(("127.0.0.1", port)) as beyond:
            ends = {client: beyond, beyond: client}
            while ready := select.select(ends, [], [], 5)[0]:
                for end in ready:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    ends[end].sendall(data)
