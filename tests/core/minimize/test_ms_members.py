"""A member such as `struct inner;` counts in every mode and with every full header, whether that has such members or not."""

from pathlib import Path

import pytest
from ebpfbuild.arch import BY_NAME
from ebpfbuild.compile.args import CompileArgs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_object import RawObject, differences
from step_lab import MODES, StepLab

HEADER = (Path(__file__).parents[2] / "testdata" / "minimize" / "vmlinux.h").read_text()
HEADERS = {"with such members": HEADER, "without": HEADER.replace("\tstruct ns_part;\n", "\tstruct ns_part part;\n")}
PRELUDE = """#include "vmlinux.h"
#define SEC(name) __attribute__((section(name), used))
struct inner { __u32 a, b; };
typedef struct inner inner_t;
char LICENSE[] SEC("license") = "GPL";
"""
# The member as a program may write it, and the same with a name, which every C compiler keeps. Two spellings of one
# struct can't stand in one body: their members are the same.
MEMBERS = {
    "struct inner;": "struct inner n%d;",
    "const struct inner;": "const struct inner n%d;",
    "inner_t;": "inner_t n%d;",
    "struct kuid;": "struct kuid n%d;",
    "kuid_t;": "kuid_t n%d;",
    "struct ns_part;": "struct ns_part n%d;",
    "union both;": "union both n%d;",
    "volatile struct slot;": "volatile struct slot n%d;",
}


def _struct(member: str) -> str:
    return next(name for name in ("inner", "kuid", "ns_part", "both", "slot") if name in member)


@st.composite
def bodies(draw, depth=0):
    """A struct's body twice: as written, and with every anonymous tagged member named."""
    written, named = [], []
    for number, member in enumerate(
        draw(st.lists(st.sampled_from(list(MEMBERS)), min_size=1, max_size=3, unique_by=_struct))
    ):
        unique = depth * 10 + number
        if depth < 2 and draw(st.integers(0, 3)) == 0:
            keyword = draw(st.sampled_from(["struct", "union"]))
            inner = draw(bodies(depth + 1))
            written.append(f"{keyword} {{ {inner[0]} }} v{unique};")
            named.append(f"{keyword} {{ {inner[1]} }} v{unique};")
        else:
            written.append(f"struct {{ {member} }} s{unique};" if unique % 2 else member)
            named.append(
                f"struct {{ {MEMBERS[member] % unique} }} s{unique};" if unique % 2 else MEMBERS[member] % unique
            )
    kind = draw(st.sampled_from(["__u8", "__u16", "__u32", "__u64"]))
    return (" ".join([*written, f"{kind} last{depth};"]), " ".join([*named, f"{kind} last{depth};"]))


def program(body: str) -> str:
    return f"""{PRELUDE}struct outer {{ {body} }};
struct {{ int (*type)[2]; int (*max_entries)[1]; struct {{ struct outer; __u32 count; }} *key; struct outer *value; }} m SEC(".maps");
struct {{ struct outer; }} variable; int size = sizeof(struct outer);
SEC("tp/a/b") int f(struct outer *o) {{ return sizeof(*o); }}
"""


@pytest.fixture(scope="module")
def labs(clang, tmp_path_factory):
    return {name: StepLab(clang, tmp_path_factory.mktemp("ms"), text) for name, text in HEADERS.items()}


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(bodies())
def test_an_anonymous_tagged_member_counts_in_every_mode_and_with_every_header(labs, drawn):
    written, named = map(program, drawn)
    sizes = RawObject(
        labs["without"].build(named.replace("{ struct outer; ", "{ struct outer n; "), "off").object
    ).maps()
    for lab in labs.values():
        built = {mode: lab.build(written, mode) for mode in MODES}
        for mode, each in built.items():
            assert each.notices == () and RawObject(each.object).maps() == sizes, (mode, written)
            assert differences(built["off"].object, each.object, mode) == []


def test_no_flag_depends_on_a_header():
    """Editors, proofs and every mode get the same flags, and the user's own can't take them back."""
    args = CompileArgs(
        ("zig",), BY_NAME["arm"], "a.c", "a.o", "build/no/such/folder", "b", cflags=("-fno-ms-extensions",)
    )
    flags = args.flags()
    assert args.command() == ["clang", *flags, "-c", "a.c", "-o", "a.o"]
    assert flags.index("-fms-extensions") > flags.index("-fno-ms-extensions")
