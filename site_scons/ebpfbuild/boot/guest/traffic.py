"""Makes what programs watch: files, processes, TCP and UDP over lo, UNIX sockets, signals, timers. A second at most."""

import ctypes
import os
import signal
import socket
import struct
import time

ROUNDS = 3
LIBRARIES = ("/usr/lib64", "/usr/lib")  # where the C library's loader is, by the arch


def make_traffic() -> list[str]:
    """Makes traffic of every sort; returns the sorts that this kernel refused, with the reason."""
    refused = []
    for _ in range(ROUNDS):
        for sort in (files, processes, tcp, udp, unix, ping, signals):
            try:
                sort()
            except OSError as error:
                refused.append(f"{sort.__name__}: {error}")
    return sorted(set(refused))


def files() -> None:
    """Makes a folder and a file, writes, reads, renames, links and removes them."""
    os.makedirs("/tmp/traffic", exist_ok=True)
    with open("/tmp/traffic/a", "w+b") as file:
        file.write(b"x" * 10000)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        file.read()
    os.chmod("/tmp/traffic/a", 0o600)
    os.stat("/tmp/traffic/a")
    os.rename("/tmp/traffic/a", "/tmp/traffic/b")
    os.symlink("b", "/tmp/traffic/c")
    os.unlink("/tmp/traffic/c")
    os.unlink("/tmp/traffic/b")
    os.rmdir("/tmp/traffic")
    with open("/proc/stat", "rb") as file:
        file.read()


def processes() -> None:
    """Forks, executes the C library's loader, which is the smallest program here, and waits."""
    found = [f"{folder}/{name}" for folder in LIBRARIES if os.path.isdir(folder) for name in os.listdir(folder)]
    program = next(path for path in found if "/ld-linux" in path)
    with open("/dev/null", "wb") as null:
        actions = [(os.POSIX_SPAWN_DUP2, null.fileno(), 1), (os.POSIX_SPAWN_DUP2, null.fileno(), 2)]
        os.waitpid(os.posix_spawn(program, [program, "--version"], os.environ, file_actions=actions), 0)


def tcp() -> None:
    """Connects over IPv4 and IPv6, sends, is answered and closes; and is refused once."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_server((address, 0), family=family) as server:
            with socket.create_connection(server.getsockname()[:2], 5) as client:
                accepted, _ = server.accept()
                with accepted:
                    client.sendall(b"question" * 100)
                    accepted.recv(800)
                    accepted.sendall(b"answer" * 100)
                    client.recv(600)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5):
        os.close(ctypes.CDLL(None).accept(server.fileno(), None, None))  # Python itself calls accept4
    with socket.socket() as nobody:
        nobody.connect_ex(("127.0.0.1", 9))


def udp() -> None:
    """Sends datagrams over IPv4 and IPv6, unconnected and connected."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
            server.bind((address, 0))
            client.sendto(b"datagram", server.getsockname()[:2])
            server.recvfrom(100)
            client.connect(server.getsockname()[:2])
            client.send(b"datagram")
            server.recvfrom(100)


def unix() -> None:
    """Sends through a pair of UNIX sockets."""
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"hello")
        right.recv(5)


def ping() -> None:
    """Sends ICMP echoes over lo by IPv4 and IPv6, and reads what comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(1)
        total = 0xFFFF & ~sum(struct.unpack("!4H", struct.pack("!BBHHH", 8, 0, 0, 1, 1)))
        raw.sendto(struct.pack("!BBHHH", 8, 0, total, 1, 1), ("127.0.0.1", 0))
        raw.recv(100)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.settimeout(1)
        raw.sendto(struct.pack("!BBHHH", 128, 0, 0, 1, 1), ("::1", 0))  # the kernel fills the checksum in
        raw.recv(100)


def signals() -> None:
    """Sends itself a signal, and sleeps for an instant."""
    signal.signal(signal.SIGUSR1, lambda *_: None)
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.01)
