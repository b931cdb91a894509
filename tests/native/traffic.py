"""Makes one kind of traffic on a loopback of its own and prints what it did as a line of JSON. `traffic.py NAME`.

A network namespace of its own keeps the machine's settings as they are: ping sockets want one changed.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys

CLONE_NEWNET = 0x40000000  # linux/sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h
V4, V6, MAPPED = "127.0.0.1", "::1", "::ffff:127.0.0.1"


def own_loopback() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    with open("/proc/sys/net/ipv4/ping_group_range", "w", encoding="ascii") as file:
        file.write("0 2147483647")


def call_me(name: str) -> None:
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name)


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listener(address: str) -> socket.socket:
    server = socket.socket(family(address))
    server.bind((address, 0))
    server.listen()
    return server


def tcp(address: str, acceptor: str = "self") -> dict:
    """Sends 1000 bytes from a client process and gets 500. `acceptor` accepts: this process or a child."""
    server = listener(V4 if address == MAPPED else address)
    port = server.getsockname()[1]
    client = os.fork()
    if not client:
        call_me("client")
        with socket.create_connection((address, port)) as peer:
            peer.sendall(b"x" * 1000)
            peer.recv(500, socket.MSG_WAITALL)
        os._exit(0)
    worker = os.fork() if acceptor == "child" else 0
    if worker:
        os.waitpid(worker, 0)
        client_port = None
    else:
        call_me("server")
        accepted, peer = server.accept()
        client_port = peer[1]
        accepted.recv(1000, socket.MSG_WAITALL)
        accepted.sendall(b"y" * 500)
        accepted.recv(1)
        accepted.close()
        if acceptor == "child":
            os._exit(0)
    os.waitpid(client, 0)
    pids = {"client": client, "server": worker or os.getpid(), "listener": os.getpid()}
    return {**pids, "port": port, "client_port": client_port}


def refused() -> dict:
    closed = listener(V4)
    port = closed.getsockname()[1]
    closed.close()
    with socket.socket() as client:
        client.connect_ex((V4, port))
    return {"port": port}


def udp(address: str, connected: bool) -> dict:
    datagram = family(address), socket.SOCK_DGRAM
    with socket.socket(*datagram) as receiver, socket.socket(*datagram) as sender:
        receiver.bind((address, 0))
        to = (address, receiver.getsockname()[1])
        if connected:
            sender.connect(to)
            sender.send(b"hello")
        else:
            sender.sendto(b"hello", to)
        return {"port": to[1], "local_port": sender.getsockname()[1]}


def echo(address: str, kind: socket.SocketKind) -> dict:
    """Sends an echo request of 4 bytes that the kernel answers; a ping socket's identifier is its port."""
    protocol = socket.IPPROTO_ICMPV6 if ":" in address else socket.IPPROTO_ICMP
    identifier = os.getpid() & 0xFFFF
    start = struct.pack("!BB", 128 if ":" in address else 8, 0)
    rest = struct.pack("!HH", identifier, 1) + b"data"
    words = sum(struct.unpack("!5H", start + rest))
    checksum = 0xFFFF - (words % 0xFFFF)  # RFC 1071; for ICMPv6 the kernel sets it
    with socket.socket(family(address), kind, protocol) as sender:
        sender.settimeout(5)
        sender.sendto(start + struct.pack("!H", checksum) + rest, (address, 0))
        sender.recv(100)
        if kind == socket.SOCK_DGRAM:
            identifier = sender.getsockname()[1]
    return {"local_port": identifier}


TRAFFIC = {
    "tcp4": lambda: tcp(V4),
    "tcp6": lambda: tcp(V6),
    "tcp_mapped": lambda: tcp(MAPPED),
    "prefork": lambda: tcp(V4, acceptor="child"),
    "refused": refused,
    "udp4_unconnected": lambda: udp(V4, connected=False),
    "udp4_connected": lambda: udp(V4, connected=True),
    "udp6_unconnected": lambda: udp(V6, connected=False),
    "udp6_connected": lambda: udp(V6, connected=True),
    "udp_mapped_unconnected": lambda: udp(MAPPED, connected=False),
    "udp_mapped_connected": lambda: udp(MAPPED, connected=True),
    "ping4": lambda: echo(V4, socket.SOCK_DGRAM),
    "ping6": lambda: echo(V6, socket.SOCK_DGRAM),
    "raw4": lambda: echo(V4, socket.SOCK_RAW),
    "raw6": lambda: echo(V6, socket.SOCK_RAW),
}

if __name__ == "__main__":
    own_loopback()
    call_me("traffic")
    print(json.dumps({"pid": os.getpid(), **TRAFFIC[sys.argv[1]]()}))
