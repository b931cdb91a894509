"""A project whose pinned artifacts a server on loopback has, as their origin and as apt's archive."""

import hashlib
from pathlib import Path

from faultserver import body, status
from archives import deb, tar

from ebpfbuild.pins import toolchain
from ebpfbuild.fetch.obtain import obtain_header, obtain_tree
from ebpfbuild.fetch.options import FetchOptions
from ebpfbuild.console import Reporter
from ebpfbuild.fetch.network import Network

HEADER = b"#ifndef __VMLINUX_H__\nstruct pt_regs { long r15; };\n#endif\n" * 500
OTHER = b"#ifndef __VMLINUX_H__\nstruct pt_regs { long other; };\n#endif\n" * 400
FILES = {"bpf_helpers.h": b"#define SEC(x)\n", "bpf_tracing.h": b"#define PT_REGS\n"}
POOL = "pool/main/t/tune/tune-dev_1_amd64.deb"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


TREE = digest("".join(f"{digest(FILES[name])}  {name}\n" for name in sorted(FILES)).encode())
PACKED = {f"./usr/include/bpf/{name}": data for name, data in FILES.items()}
DEB = deb(tar({"./usr/include/vmlinux.h": OTHER, **PACKED}))
TEXT = """\
[compiler]
package = "ziglang"
version = "22.1.8"
[libbpf]
version = "1.5.0"
sha256 = "{tree}"
files = ["bpf_helpers.h", "bpf_tracing.h"]
[[libbpf.source]]
url = "{origin}/libbpf.tar.gz"
folder = "libbpf/src"
[[libbpf.source]]
pool = "{pool}"
folder = "usr/include/bpf"
[vmlinux.x86_64]
kernel = "6.19"
url = "{origin}/vmlinux.h"
sha256 = "{header}"
size = {size}
[[vmlinux.x86_64.alternate]]
kernel = "6.9"
pool = "{pool}"
archive_sha256 = "{deb}"
member = "usr/include/vmlinux.h"
sha256 = "{other}"
[vmlinux.arm]
kernel = "6.18"
path = "vendor/vmlinux.h"
sha256 = "{local}"
"""


class Heard(Reporter):
    """Notes what a build would say."""

    def __init__(self):
        self.notices, self.fetched = [], []

    def notice(self, text):
        self.notices.append(text)

    def done(self, name, size, source):
        self.fetched.append((name, size, source))


class World:
    """A project with pins, a server that is both its origin and apt's archive, and a cache."""

    def __init__(self, folder: Path, server):
        self.folder, self.server = folder, server
        self.cache, self.machine, self.mirror = folder / "cache", folder / "machine", folder / "mirror"
        self.mirror.mkdir()
        (self.machine / "etc/apt").mkdir(parents=True)
        (self.machine / "etc/apt/sources.list").write_text(
            f"deb http://{server.host}/empty/debian trixie main\ndeb http://{server.host}/debian trixie main\n")
        server.say(body(HEADER), path="/vmlinux.h")
        server.say(body(tar({f"libbpf/src/{name}": data for name, data in FILES.items()})), path="/libbpf.tar.gz")
        server.say(body(DEB), path=f"/debian/{POOL}")
        self.heard = Heard()
        self.pins()

    def pins(self, *edits: str) -> None:
        """Writes toolchain.toml, with each odd edit replaced by the one after it."""
        text = TEXT.format(origin=f"http://{self.server.host}", pool=POOL, tree=TREE, header=digest(HEADER),
                           size=len(HEADER), deb=digest(DEB), other=digest(OTHER), local=digest(b"local\n"))
        for old, new in zip(edits[::2], edits[1::2], strict=True):
            assert old in text
            text = text.replace(old, new, 1)
        (self.folder / "toolchain.toml").write_text(text)
        self.chain = toolchain.load(self.folder / "toolchain.toml")

    def options(self, **options) -> FetchOptions:
        network = Network(sleep=lambda seconds: None)
        return FetchOptions(**{"cache": self.cache, "machine": self.machine, "network": network, **options})

    def header(self, arch: str = "x86_64", **options):
        return obtain_header(self.chain.header(arch), self.options(**options), self.heard)

    def tree(self, **options):
        return obtain_tree(self.chain.libbpf, self.options(**options), self.heard)

    def down(self, path: str = "/vmlinux.h") -> None:
        self.server.say(status(404), path=path)

    def put(self, path: str, data: bytes) -> None:
        """Lays a file into the mirror folder."""
        target = self.mirror / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
