"""toolchain.toml: the project's own, and every mistake with its line, key and fix."""

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebpfbuild.pins import sources, toolchain
from ebpfbuild.pins.effective import as_data, effective_pins, report
from ebpfbuild.errors import EbpfError, PinError

OWN = Path(__file__).resolve().parents[3] / "toolchain.toml"
ARCHES = ["x86_64", "aarch64", "arm", "riscv64", "powerpc", "s390x", "loongarch64"]

TEXT = """\
[compiler]
package = "ziglang"
version = "22.1.8"

[libbpf]
version = "1.5.0"
sha256 = "{a}"
files = ["b.h", "a.h"]

[[libbpf.source]]
url = "https://example.org/libbpf.tar.gz"
folder = "src"

[vmlinux]
base = "https://example.org/include"

[vmlinux.x86_64]
kernel = "6.19"
url = "x86_64/vmlinux.h"
sha256 = "{b}"
size = 123

[[vmlinux.x86_64.alternate]]
kernel = "6.9"
pool = "pool/main/x/x_1_amd64.deb"
archive_sha256 = "{d}"
member = "usr/include/vmlinux.h"
sha256 = "{c}"

[vmlinux.aarch64]
kernel = "6.19"
url = "https://example.com/vmlinux.h"
sha256 = "{e}"
""".format(**{letter: letter * 64 for letter in "abcde"})


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads TEXT with some text replaced, as `toolchain.toml` in the current folder."""
    monkeypatch.chdir(tmp_path)

    def run(old: str = "", new: str = "") -> toolchain.Toolchain:
        assert old in TEXT
        Path("toolchain.toml").write_text(TEXT.replace(old, new, 1) if old else TEXT + new)
        return toolchain.load("toolchain.toml")

    return run


def test_the_projects_own_pins_are_whole():
    chain = toolchain.load(OWN)
    assert list(chain.vmlinux) == ARCHES
    assert (chain.compiler.package, chain.compiler.version, chain.cpu) == ("ziglang", "22.1.8", "v3")
    assert {pin.kernel for pin in chain.vmlinux.values()} == {"6.19"}
    assert all(pin.sha256 and pin.size for pin in chain.vmlinux.values())
    assert [arch for arch, pin in chain.vmlinux.items() if pin.alternates] == ["x86_64", "aarch64", "riscv64"]
    commit = "c32912840154a82205530cd6d498b346ac73a6d1"
    for arch, pin in chain.vmlinux.items():
        assert pin.source.location == (
            f"https://raw.githubusercontent.com/libbpf/vmlinux.h/{commit}/include/{arch}/vmlinux_6.19.h")
    assert [source.kind for source in chain.libbpf.sources] == ["url", "pool"]
    assert len(chain.libbpf.files) == 6


def test_every_pin_knows_its_line():
    chain = toolchain.load(OWN)
    lines = OWN.read_text().splitlines()
    for pin in chain.vmlinux.values():
        for one in (pin, *pin.alternates):
            number = int(re.search(r"toolchain\.toml:(\d+): ", one.where)[1])
            assert lines[number - 1] == f'sha256 = "{one.sha256}"'
            assert one.where.endswith(f"{one.key}.sha256")
            assert f'"{one.source.location[-20:]}"'[-15:] in lines[int(re.search(r":(\d+):", one.source.where)[1]) - 1]


def test_a_relative_url_is_below_base_and_a_whole_one_is_not(load):
    chain = load()
    assert chain.header("x86_64").source.location == "https://example.org/include/x86_64/vmlinux.h"
    assert chain.header("aarch64").source.location == "https://example.com/vmlinux.h"
    assert chain.libbpf.files == ("a.h", "b.h")


def test_only_what_changes_the_bytes_changes_the_signature(load):
    before = load().header("x86_64").signature
    for old, new in [("x86_64/vmlinux.h", "other/vmlinux.h"), ("size = 123", "size = 9"), ("c" * 64, "f" * 64),
                     ('kernel = "6.19"', 'kernel = "6.20"'), ("", "# a comment\n")]:
        assert load(old, new).header("x86_64").signature == before
    assert load("b" * 64, "f" * 64).header("x86_64").signature != before
    assert load("", "").libbpf.signature == "a" * 64


def test_a_header_in_the_build_folder_is_accepted_by_its_digest(load):
    pin = load().header("x86_64")
    assert pin.accepts("b" * 64) and pin.accepts("b" * 64, release=True)
    assert pin.accepts("c" * 64) and not pin.accepts("c" * 64, release=True)
    assert not pin.accepts("e" * 64)
    assert not load(f'sha256 = "{"e" * 64}"\n', "").header("aarch64").accepts("e" * 64)


def test_a_missing_digest_is_kept_as_unpinned(load):
    pin = load(f'sha256 = "{"b" * 64}"\n', "").header("x86_64")
    assert pin.sha256 is None and pin.signature == "unpinned"
    assert pin.where == "toolchain.toml:17: vmlinux.x86_64"


def test_a_local_header_and_a_system_clang(load, tmp_path):
    chain = load('url = "x86_64/vmlinux.h"', 'path = "vendor/vmlinux.h"')
    assert chain.header("x86_64").source.file == Path("vendor/vmlinux.h")
    chain = load('package = "ziglang"', 'path = "/usr/bin/clang-19"')
    assert chain.compiler.path == Path("/usr/bin/clang-19") and not chain.compiler.package


@pytest.mark.parametrize(
    "text, kind, file",
    [
        ("host", "path", Path("/sys/kernel/btf/vmlinux")),
        ("build/vmlinux", "path", Path("build/vmlinux")),
        ("pool/main/l/linux/linux-image-6.12_amd64.deb", "pool", None),
        ("https://example.com/6.1.btf.tar.xz", "url", None),
    ],
)
def test_a_header_may_be_made_of_a_kernel(load, text, kind, file):
    source = load('url = "https://example.com/vmlinux.h"', f'btf = "{text}"\nmember = "a/b"\ninput_sha256 = "{"f" * 64}"').header("aarch64").source
    assert (source.kind, source.location, source.file, source.btf) == (kind, text, file, True)
    assert (source.inside, source.archive_sha256, source.where) == ("a/b", "f" * 64, "toolchain.toml:32: vmlinux.aarch64.btf")


def test_what_is_read_with_a_module_of_the_kernel_that_runs():
    host = Path("/sys/kernel/btf/vmlinux")
    assert sources.given_header("x86_64", "host", Path()).source.files == (host,)
    assert sources.given_header("x86_64", str(host.parent / "nf_nat"), Path()).source.files == (host.parent / "nf_nat", host)
    assert sources.given_header("x86_64", "vmlinux", Path("a")).source.files == (Path("a/vmlinux"),)


def test_the_compilers_cpu_and_flags_may_be_pinned(load):
    chain = load("", '[clang]\ncpu = "v2"\ncflags = ["-O1"]\n')
    assert (chain.cpu, chain.cflags) == ("v2", ("-O1",))


def test_an_arch_without_a_pin_names_those_that_have_one(load):
    with pytest.raises(PinError, match=r"toolchain.toml: vmlinux.arm: arm has no pin; .*x86_64, aarch64$"):
        load().header("arm")


B, E = "b" * 64, "e" * 64
MISTAKES = [
    # text, what stands there instead, what the error says from its first character on
    ('url = "https://example.com', 'ulr = "https://example.com',
     r"32: vmlinux.aarch64.ulr: is not known here; did you mean url\?"),
    ('url = "https://example.com/vmlinux.h"', 'btf = "host"\npath = "x"',
     r"33: vmlinux.aarch64.path: stands beside btf, which says where the kernel is; keep one of them"),
    ('url = "https://example.com/vmlinux.h"', f'btf = "x"\narchive_sha256 = "{"f" * 64}"',
     r"33: vmlinux.aarch64.archive_sha256: stands beside btf, .*; call it input_sha256"),
    ('url = "https://example.com/vmlinux.h"', 'btf = "pool/x.rpm"', r"32: vmlinux.aarch64.btf: is 'pool/x.rpm'; a pool path"),
    ('url = "https://example.com/vmlinux.h"', 'btf = "ftp://x/y"', r"32: vmlinux.aarch64.btf: .*begins with https://"),
    ("size = 123", "siez = 123", r"21: vmlinux.x86_64.siez: is not known here; did you mean size\?"),
    ("[compiler]", "[compilre]", r"1: compilre: is not known here; did you mean compiler\?"),
    ('[compiler]\npackage = "ziglang"\nversion = "22.1.8"\n', "", r"compiler: is missing; add a table \[compiler\]"),
    ('folder = "src"\n', "", r"10: libbpf.source\[0\].folder: is missing; add folder = "),
    ('url = "https://example.com/vmlinux.h"\n', "", r"30: vmlinux.aarch64: has no source; give it one of url, pool"),
    ('d"\nmember = "usr', 'd"\nmembr = "usr', r"27: vmlinux.x86_64.alternate\[0\].membr: .*did you mean member"),
    ('com/vmlinux.h"', f'com/vmlinux.h"\narchive_sha256 = "{B}"', r"33: vmlinux.aarch64.archive_sha256: belongs to an"),
    ('base = "https://example.org', 'bsae = "https://example.org', r"15: vmlinux.bsae: .*did you mean base"),
    ("[vmlinux]\n", "[toolchian]\nx = 1\n[vmlinux]\n", r"14: toolchian: is not known here"),
    ("[vmlinux]\n", "[kernel.board]\nx = 1\n[vmlinux]\n", r"14: kernel: is not known here; did you mean kernels\?"),
    ("[vmlinux]\n", "[[kernel.a.b]]\nx = 1\n[vmlinux]\n", r"14: kernel: is not known here; did you mean kernels\?"),
    ('folder = "src"', 'fodler = "src"', r"12: libbpf.source\[0\].fodler: .*did you mean folder"),
    ("size = 123", 'size = "123"', r"21: vmlinux.x86_64.size: is a string, not a number; write size = 12345"),
    ("size = 123", "size = true", r"21: vmlinux.x86_64.size: is a boolean, not a number"),
    ("size = 123", "size = -1", r"21: vmlinux.x86_64.size: is -1"),
    ('kernel = "6.19"', "kernel = 6.19", r"18: vmlinux.x86_64.kernel: is a number, not a string"),
    ('kernel = "6.19"\n', "", r"17: vmlinux.x86_64.kernel: is missing; add kernel = "),
    (E, "e" * 63, r"33: vmlinux.aarch64.sha256: has 63 hex digits, a sha256 has 64"),
    (E, "g" * 64, r"33: vmlinux.aarch64.sha256: holds 'g', which is no hex digit"),
    (E, "E" * 64, r"33: vmlinux.aarch64.sha256: is in capitals; write it in lower case: e{64}"),
    (E, B, r"33: vmlinux.aarch64.sha256: is the digest of vmlinux.x86_64 too"),
    ("c" * 64, B, r"28: vmlinux.x86_64.alternate\[0\].sha256: is that of the pin itself"),
    ('"https://example.com', '"ftp://example.com', r"32: vmlinux.aarch64.url: is 'ftp:"),
    ('"https://example.com', '"https://me:secret@example.com', r"32: vmlinux.aarch64.url: holds a user name"),
    ('"https://example.com', '"https://[::1', r"32: vmlinux.aarch64.url: "),
    ("x86_64/vmlinux.h", "../vmlinux.h", r"19: vmlinux.x86_64.url: .*without \. and \.\."),
    (f'"https://example.com/vmlinux.h"\nsha256 = "{E}"', '"http://example.com/vmlinux.h"',
     r"32: vmlinux.aarch64.url: is plain http and nothing pins its bytes; write https"),
    ("usr/include/vmlinux.h", "../../etc/passwd", r"27: vmlinux.x86_64.alternate\[0\].member: is '../../etc/passwd'"),
    ("usr/include/vmlinux.h", "/etc/passwd", r"27: vmlinux.x86_64.alternate\[0\].member: is '/etc/passwd'"),
    ("pool/main/x/x_1", "pool/../x_1", r"25: vmlinux.x86_64.alternate\[0\].pool: "),
    ("pool/main/x/x_1_amd64.deb", "x.deb", r"25: vmlinux.x86_64.alternate\[0\].pool: .*looks like pool/main"),
    ('"b.h", "a.h"', '"a.h", "a.h"', r"8: libbpf.files: holds 'a.h' twice; remove one"),
    ('"b.h", "a.h"', '"../a.h"', r"8: libbpf.files: holds '../a.h'"),
    ('"b.h", "a.h"', "", r"8: libbpf.files: is empty"),
    ('"b.h", "a.h"', "1", r"8: libbpf.files: holds a number, not only strings"),
    ('url = "https://example.com', 'pool = "pool/x.deb"\nurl = "https://example.com',
     r"30: vmlinux.aarch64: has url and pool"),
    ("[vmlinux.aarch64]", "[vmlinux.arm64]", r"30: vmlinux.arm64: arm64 is an alias; write \[vmlinux.aarch64\]"),
    ("[vmlinux.aarch64]", "[vmlinux.aarch46]",
     r"30: vmlinux.aarch46: no arch is called 'aarch46'; did you mean aarch64"),
    ("[vmlinux.aarch64]", "[vmlinux.x86_64]", r"30: Cannot|30: is no TOML"),
    ('package = "ziglang"', 'package = "zig"', r"2: compiler.package: is 'zig'"),
    ('package = "ziglang"', 'package = "ziglang"\npath = "/x"', r"1: compiler: has both package and path"),
    ('package = "ziglang"\n', "", r"1: compiler: has neither package nor path"),
    ('version = "22.1.8"', 'version = "22"', r"3: compiler.version: is '22'; write the exact version"),
    ('version = "22.1.8"', 'version = "22', r"3: is no TOML: "),
    ("", '[clang]\ncpu = "probe"\n', r"35: clang.cpu: is 'probe'; take one of v1, v2, v3, v4"),
    ("[vmlinux.aarch64]", "[[vmlinux.aarch64]]", r"30: vmlinux.aarch64: "),
]


@pytest.mark.parametrize("old, new, message", MISTAKES, ids=lambda value: None)
def test_a_mistake_says_where_what_and_the_fix(load, old, new, message):
    with pytest.raises(EbpfError) as caught:
        load(old, new)
    line = str(caught.value)
    assert re.match(r"toolchain\.toml:\s?(" + message + ")", line), line
    assert "\n" not in line


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(PinError, match="there is no such file"):
        toolchain.load(tmp_path / "toolchain.toml")
    (tmp_path / "toolchain.toml").write_bytes(b"# \xff\n")
    with pytest.raises(PinError, match="is not UTF-8"):
        toolchain.load(tmp_path / "toolchain.toml")
    (tmp_path / "toolchain.toml").write_bytes(b"\xef\xbb\xbf[clang]\n")  # as some editors save it
    with pytest.raises(PinError, match="begins with a byte order mark; save it as UTF-8 without one"):
        toolchain.load(tmp_path / "toolchain.toml")
    with pytest.raises(PinError, match="can't be read"):
        toolchain.load(tmp_path)


def test_a_nul_in_any_string_is_refused_with_its_key(load):
    """No path, URL or argument can hold it: Python would raise a ValueError where it is used at last."""
    strings = [found for found in re.finditer(r'"([^"]*)"', TEXT)]
    assert len(strings) > 10
    for found in strings:
        with pytest.raises(PinError, match=r"toolchain\.toml:\d+: [\w.\[\]]+: holds a NUL character; remove it"):
            text = TEXT[: found.start(1)] + "\\u0000" + TEXT[found.start(1) :]
            load(TEXT, text)
    with pytest.raises(PinError, match="clang.cflags: holds a NUL"):
        load("", '[clang]\ncflags = ["-DX=\\u0000"]\n')


WORDS = [*TEXT.split("\n"), "[a.b]", "[[vmlinux.arm.alternate]]", "x = ", "= 1", '"""', "[", "url = 1", "\0",
         "size = 1e9", "[vmlinux.arm]", "path = 'x'", "x = [", "a.b = 1", "[[vmlinux]]"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_file_is_a_toolchain_or_an_error(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    path.write_text("\n".join(lines))
    try:
        assert toolchain.load(path).vmlinux
    except EbpfError as error:
        assert str(error).startswith(str(path))


# A file that holds only what differs from another one


OURS = '[vmlinux.x86_64]\nkernel = "6.1"\npath = "v.h"\nsha256 = "{f}"\n'.format(f="f" * 64)


@pytest.fixture
def complete(load):
    """A function: the text of the project's own file, and an edit of the one that completes it -> the toolchain."""

    def run(text: str, old: str = "", new: str = "") -> toolchain.Toolchain:
        load(old, new)
        Path("toolchain.toml").rename("whole.toml")
        Path("toolchain.toml").write_text(text)
        return toolchain.load("toolchain.toml", "whole.toml")

    return run


def test_what_a_file_lacks_is_the_other_one_s(complete, load):
    chain, whole = complete(OURS), toolchain.load("whole.toml")
    assert chain[1:5] == whole[1:5] and list(chain.vmlinux) == ["x86_64", "aarch64"]
    assert chain.header("aarch64") == whole.header("aarch64")
    assert chain.compiler.where == "whole.toml:3: compiler.version" and chain.libbpf.where.startswith("whole.toml:7: ")
    ours = chain.header("x86_64")
    assert (ours.signature, ours.source.file, ours.where) == ("f" * 64, Path("v.h"), "toolchain.toml:4: vmlinux.x86_64.sha256")


@pytest.mark.parametrize("text", ["", "[clang]\ncflags = ['-DX=1']", '[compiler]\npath = "/usr/bin/clang-19"\nversion = "19.1.7"'])
def test_any_table_may_be_the_file_s_own(complete, text):
    chain, whole = complete(text), toolchain.load("whole.toml")
    assert (chain.compiler == whole.compiler) == ("[compiler]" not in text) and (chain.cflags == ()) == ("[clang]" not in text)
    assert dict(chain.vmlinux) == dict(whole.vmlinux)


def test_two_tables_of_one_key_never_merge(complete):
    """No alternate, no digest, no base of the other file's joins a table that the file has."""
    assert complete(OURS).header("x86_64").alternates == ()
    assert complete(OURS.replace("sha256", "# sha256")).header("x86_64").sha256 is None
    for text, message in {
        '[compiler]\nversion = "23.1.0"': r"^toolchain.toml:1: compiler: has neither package nor path",
        '[libbpf]\nversion = "1.6.0"': r"^toolchain.toml:1: libbpf.files: is missing",
        '[vmlinux.x86_64]\nkernel = "6.1"': r"^toolchain.toml:1: vmlinux.x86_64: has no source",
        OURS.replace("path", "url"): r"^toolchain.toml:3: vmlinux.x86_64.url: is 'v.h'; write a URL that begins with https://",
        '[vmlinux]\nbase = "https://mirror.example"': r"^toolchain.toml:1: vmlinux: pins no header; add a table such as",
        OURS.replace("x86_64", "x86"): r"^toolchain.toml:1: vmlinux.x86: x86 is an alias",
        "[compilre]": r"^toolchain.toml:1: compilre: is not known here",
    }.items():
        with pytest.raises(EbpfError, match=message):
            complete(text)


def test_a_mistake_in_the_other_file_names_that_one(complete):
    with pytest.raises(PinError, match="^whole.toml:3: compiler.version: is '22'"):
        complete(OURS, "", "")  # the file is whole
        Path("whole.toml").write_text(TEXT.replace("22.1.8", "22"))
        toolchain.load("toolchain.toml", "whole.toml")
    with pytest.raises(PinError, match="is the digest of vmlinux.aarch64 too"):
        complete(OURS.replace("f" * 64, E)).header("arm")


def test_the_other_file_is_read_only_where_something_is_lacking(load):
    load("", '[clang]\ncpu = "v3"\n')
    chain = toolchain.load("toolchain.toml", "none.toml")
    assert chain.header("x86_64").sha256 == B
    with pytest.raises(PinError, match="^none.toml: there is no such file"):
        chain.header("arm")


def test_an_arch_that_neither_has_names_those_of_both(complete):
    with pytest.raises(PinError, match=r"toolchain.toml: vmlinux.arm: arm has no pin; .*x86_64, aarch64$"):
        complete(OURS).header("arm")


def test_the_list_of_pins_says_where_each_is_from_and_what_it_replaces(complete):
    complete(OURS.replace("[vmlinux.x86_64]", "[vmlinux.x86_64]\ndate = 2026-08-18") + "[clang]\ncflags = ['-DX=1', '-DY=1']\n")
    pins = effective_pins("toolchain.toml", "whole.toml")
    rows = {pin.key: pin for pin in pins}
    assert list(rows) == ["compiler", "libbpf", "vmlinux.x86_64", "vmlinux.aarch64", "clang"]
    assert rows["compiler"][2:] == ("22.1.8", None, None, ("wheel ziglang",), False, "whole.toml:1", "")
    own = ("x86_64", "Linux 6.1", "f" * 64, date(2026, 8, 18), ("v.h",), False, "toolchain.toml:1", "whole.toml:17")
    assert rows["vmlinux.x86_64"][1:] == own
    assert rows["clang"].version == "-mcpu=v3, -DX=1 -DY=1" and rows["clang"].place == "toolchain.toml:6"
    text = report(pins, lambda pin: pin.sha256 == "e" * 64, date(2026, 8, 20))
    lines = {line.split()[0]: line.split() for line in text.splitlines()}
    assert lines["vmlinux.x86_64"] == ["vmlinux.x86_64", "Linux", "6.1", "f" * 12, "2", "days", "-", "toolchain.toml:1", "v.h",
                                       "(instead", "of", "whole.toml:17)"]
    assert lines["vmlinux.aarch64"][3:6] == ["e" * 12, "-", "yes"] and lines["libbpf"][2:5] == ["a" * 12, "-", "no"]
    (data,) = [each for each in as_data(pins, lambda pin: False, date(2026, 8, 20)) if each["key"] == "vmlinux.x86_64"]
    assert (data["age_days"], data["in_store"], data["sha256"]) == (2, None, "f" * 64)


def test_alternates_and_what_links_are_pins_as_well_and_a_url_is_listed_as_it_is_asked_for(load):
    load("", LINKER)
    pins = {pin.key: pin for pin in effective_pins("toolchain.toml")}
    assert pins["vmlinux.x86_64"].sources == ("https://example.org/include/x86_64/vmlinux.h",)
    alternate = pins["vmlinux.x86_64.alternate[0]"]
    assert (alternate.version, alternate.sources) == ("Linux 6.9", ("pool/main/x/x_1_amd64.deb",))
    assert pins["linker.aarch64.libz"].arch == "aarch64" and pins["linker.aarch64.glibc"].version == "2.41"


@pytest.mark.parametrize("line, said", [
    ("date = 2026-08-18", date(2026, 8, 18)), ('date = "2026-08-18"', "vmlinux.x86_64.date: is a string, not a date; write date = 2026-08-18"),
    ("date = 2026-08-18T10:00:00Z", "vmlinux.x86_64.date: is a date with a time; write date = 2026-08-18"),
])
def test_a_pin_may_say_of_which_day_its_bytes_are(load, line, said):
    if isinstance(said, date):
        assert load('kernel = "6.19"\nurl = "x86', f'{line}\nkernel = "6.19"\nurl = "x86').header("x86_64").day == said
        below_base = load("[vmlinux]\n", f"[vmlinux]\n{line}\n")
        assert (below_base.header("x86_64").day, below_base.header("aarch64").day) == (said, None)
        assert load("[libbpf]\n", f"[libbpf]\n{line}\n").libbpf.day == said
    else:
        with pytest.raises(PinError, match=re.escape(said)):
            load('kernel = "6.19"\nurl = "x86', f'{line}\nkernel = "6.19"\nurl = "x86')


LINKER = """
[linker]
glibc = "2.38"

[linker.aarch64.libz]
version = "1.2"
sha256 = "{z}"
files = ["libz.so.1"]
source = [{{ pool = "pool/main/z/zlib/zlib1g_1.2_arm64.deb", folder = "lib" }}]

[linker.aarch64.glibc]
version = "2.41"
files = ["libc.so.6", "ld-linux-aarch64.so.1"]

[[linker.aarch64.glibc.source]]
url = "https://example.org/libc6.deb"
folder = "lib"

[linker.aarch64.libbpf]
version = "1.5"
sha256 = "{b}"
files = ["libbpf.so.1"]
source = [{{ path = "vendor/libbpf.deb", folder = "lib" }}]
""".format(z="1" * 64, b="2" * 64)


def test_a_linker_has_libraries_in_their_order_and_a_c_library(load):
    pin = load("", LINKER).linker
    assert pin.glibc == (2, 38)
    assert [(tree.key, tree.files) for tree in pin.libraries["aarch64"]] == [("libz", ("libz.so.1",)), ("libbpf", ("libbpf.so.1",))]
    c_library = pin.c_library["aarch64"]
    assert (c_library.title, c_library.sha256, c_library.signature) == ("glibc 2.41", None, "unpinned")
    assert load("", "").linker is None


def test_the_linker_s_own_pins_are_whole():
    pin = toolchain.load(OWN).linker
    assert set(pin.libraries) == set(pin.c_library) == {"x86_64", "aarch64"}
    for arch, trees in pin.libraries.items():
        assert [tree.key for tree in trees] == ["libz", "libelf", "libbpf"]
        for tree in (*trees, pin.c_library[arch]):
            debian = {"x86_64": "amd64", "aarch64": "arm64"}[arch]
            assert tree.sha256 and len(tree.sources) == 2
            assert len({source.archive_sha256 for source in tree.sources}) == 1
            assert all(source.location.endswith(f"{tree.version}_{debian}.deb") for source in tree.sources)


@pytest.mark.parametrize("old, new, message", [
    ('glibc = "2.38"', "", "linker.glibc: is missing; add glibc = "),
    ('glibc = "2.38"', 'glibc = "new"', "linker.glibc: is 'new'; write the version that they need, such as 2.38"),
    ("[linker]", "[linker]\nglib = 1", "linker.glib: is not known here; did you mean glibc?"),
    ("linker.aarch64", "linker.arm64", "linker.arm64: arm64 is an alias; write [linker.aarch64.…]"),
    ("linker.aarch64", "linker.pdp11", "linker.pdp11: no arch is called 'pdp11'; "),
    ('files = ["libz.so.1"]', "", "linker.aarch64.libz.files: is missing; "),
    ('files = ["libz.so.1"]', 'files = ["../libz.so.1"]', "linker.aarch64.libz.files: holds '../libz.so.1', which is no plain file name"),
])  # fmt: skip
def test_a_mistake_in_the_linker_s_table_is_told_with_its_key(load, old, new, message):
    with pytest.raises(EbpfError) as caught:
        load("", LINKER.replace(old, new))
    assert message in str(caught.value)


BUNDLE = """
[bundle]
glibc = "2.28"

[bundle.libbpf]
version = "1.5.0"
pool = "pool/main/libb/libbpf/libbpf_1.5.0.orig.tar.gz"
sha256 = "{a}"

[bundle.elfutils]
version = "0.188"
url = "https://example.org/elfutils-0.188.tar.bz2"
sha256 = "{a}"

[bundle.zlib]
version = "1.2.13"
path = "pins/zlib.tar"
sha256 = "{a}"
""".replace("{a}", "a" * 64)


def test_a_bundle_has_a_glibc_and_three_archives(load):
    pin = load("", BUNDLE).bundle
    assert pin.glibc == (2, 28) and [each.key for each in pin.pins()] == ["bundle.libbpf", "bundle.elfutils", "bundle.zlib"]
    assert [each.title for each in pin.pins()][0] == "sources of libbpf 1.5.0" and pin.sources["zlib"].source.in_project
    assert load("", "").bundle is None
    own = toolchain.load(OWN).bundle
    assert all(each.sha256 and each.size and each.source.kind == "pool" for each in own.pins())


@pytest.mark.parametrize("old, new, message", [
    ('glibc = "2.28"', "", "bundle.glibc: is missing; "),
    ('glibc = "2.28"', 'glibc = "2"', "bundle.glibc: is '2'; write the version that they need, such as 2.38"),
    ("[bundle.zlib]", "[bundle.zlip]", "bundle.zlip: is not known here; did you mean zlib?"),
    ('version = "0.188"', "", "bundle.elfutils.version: is missing; "),
    ('path = "pins/zlib.tar"', "", "bundle.zlib: has no source; "),
    ("libbpf_1.5.0.orig.tar.gz", "libbpf_1.5.0.zip", "bundle.libbpf.pool: is 'pool/main/libb/libbpf/libbpf_1.5.0.zip'; a pool path looks like "),
])  # fmt: skip
def test_a_mistake_in_the_bundle_s_table_is_told_with_its_key(load, old, new, message):
    assert old in BUNDLE
    with pytest.raises(PinError, match=re.escape(message)):
        load("", BUNDLE.replace(old, new))
