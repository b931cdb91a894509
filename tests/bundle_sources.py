"""Archives as [bundle] pins them, with next to nothing in them: zig makes a library of them in half a second."""

import hashlib
import io
import tarfile

from ebpfbuild.bundle.licenses import LICENSES

FILES = {
    "libbpf": {
        "src/libbpf.c": """#include <fcntl.h>
int answer(void);
const char *libbpf_version_string(void) { return fcntl(-1, F_GETFD) == -1 && answer() == 42 ? "v1.9" : "v0"; }
""",
        "src/libbpf.map": "LIBBPF_0.0.1 { global: libbpf_version_string; local: *; };\n",
        "include/uapi/linux/bpf.h": "",
        "docs/index.rst": "not wanted",
    },
    "elfutils": {"libelf/answer.c": "#include <config.h>\nint answer(void) { return ANSWER; }\n", "lib/eu-config.h": "#define ANSWER 42\n"},
    "zlib": {"adler32.c": "int adler(int value) { return value + 1; }\n"},
}


def archive(name: str, files: dict[str, str] | None = None) -> bytes:
    """Returns a tar of a project's sources and licences, the same bytes each time; `files` replace some, None leaves one out."""
    content = {**FILES[name], **{file: f"{name}: {file}\n" for file in LICENSES[name]}, **(files or {})}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, text in sorted(content.items()):
            if text is not None:
                entry = tarfile.TarInfo(f"{name}-1.0/{path}")
                entry.size = len(text.encode())
                tar.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def table(archives: dict[str, bytes], glibc: str = "2.28") -> str:
    """Returns the table [bundle] for archives that lie at pins/NAME.tar."""
    text = f'\n[bundle]\nglibc = "{glibc}"\n'
    for name, data in archives.items():
        text += f'\n[bundle.{name}]\nversion = "1.0"\npath = "pins/{name}.tar"\nsha256 = "{hashlib.sha256(data).hexdigest()}"\n'
    return text
