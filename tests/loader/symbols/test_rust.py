"""Names of Rust: as rustc-demangle spells them, and whatever a file calls a symbol, soon and without an error."""

import re
import shutil
import subprocess
import time

import pytest
from bpfloader.symbols.readable import readable
from bpfloader.symbols.rust import demangle_rust
from hypothesis import example, given
from hypothesis import strategies as st

NAMES = {
    "_RNvNtCs1234_7mycrate3foo3bar": "mycrate::foo::bar",
    "_RINvNtC3std3mem8align_ofjE": "std::mem::align_of::<usize>",
    "_RNCNvC6_123foo3bar0": "123foo::bar::{closure#0}",
    "_RNCNvC6_123foo3bars_0": "123foo::bar::{closure#1}",
    "_RNvMCs4fqI2P2rA04_13const_genericINtB2_3FooKpE3bar": "<const_generic::Foo<_>>::bar",
    "_RNvXs_C1aNtB4_1bNtB4_1c1d": "<a::b as a::c>::d",
    "_RNvYNtC1a1bNtB4_1c1d": "<a::b as a::c>::d",
    "_RINvC1a1bRL_hQhPhOhShAhj3_TEThEThhEE": "a::b::<&u8, &mut u8, *const u8, *mut u8, [u8], [u8; 3], (), (u8,), (u8, u8)>",
    "_RINvC1a1bFEuFhEhFUKCEuE": 'a::b::<fn(), fn(u8) -> u8, unsafe extern "C" fn()>',
    "_RINvC1a1bFG_RL0_hEuE": "a::b::<for<'a> fn(&'a u8)>",
    "_RINvC1a1bDNtB2_1cEL_DINtB2_1cpEp1dhEL_DNtB2_1ep1fhNtB2_1gEL_E": "a::b::<dyn a::c, dyn a::c<_, d = u8>, dyn a::e<f = u8> + a::g>",
    "_RINvC1a1bKln5_Kb1_Kc41_Kjffffffffffffffffffff_E": "a::b::<-5, true, 'A', 0xffffffffffffffffffff>",
    "_RNvC1au9bcher_kva": "a::b\u00fccher",
    "_RNvC1a1b.llvm.123": "a::b", "_RNvC1a1b.cold": "a::b", "_RNvC1a1bC1c": "a::b",
    "_ZN4core3fmt5Write9write_str17h0123456789abcdefE": "core::fmt::Write::write_str",
    "_ZN4core3ptr49drop_in_place$LT$std..rt..lang_start$LT$$RF$T$GT$17h0123456789abcdefE": "core::ptr::drop_in_place<std::rt::lang_start<&T>",
    "_ZN34_$LT$u8$u20$as$u20$core..Clone$GT$5clone17h0123456789abcdefE": "<u8 as core::Clone>::clone",
    "_ZN1a3b.c17h0123456789abcdefE": "a::b.c",
    "_R": None, "_RNv": None, "_RNvC1a2b": None, "_RB_": None, "_RNvB_1a": None, "main": None, "_RC1aZ": None,
    "_RINvC1a1bKb2_E": None, "_RINvC1a1bKcd800_E": None, "_ZN3a17h0123456789abcdefE": None,
    "_RINvC1a1bRL0_hE": None,
}  # fmt: skip


@pytest.mark.parametrize("symbol", NAMES)
def test_forms(symbol):
    assert demangle_rust(symbol) == NAMES[symbol]


@pytest.mark.parametrize("symbol, name", {
    "main": "main", "_Z": "_Z", "_ZTV1a": "_ZTV1a", "_Z4workPi.part.0.cold": "work(int*) [clone .part.0] [clone .cold]",
    "_ZN1aC1Ev": "a::a()", "_RNvC1a1b": "a::b", "_ZN1a1b17h0123456789abcdefE": "a::b", "_ZN1a1b17h0123456789abcdeXE": "_ZN1a1b17h0123456789abcdeXE",
}.items())  # fmt: skip
def test_a_symbol_is_spelled_as_its_language_does(symbol, name):
    assert readable(symbol) == name


def test_as_c_filt_reads_them(tmp_path):
    """The names of a program of Rust's, those of its standard library with it; c++filt adds types of constants."""
    rustc, cppfilt = shutil.which("rustc"), shutil.which("c++filt")
    if not rustc or not cppfilt:
        pytest.skip("there is no rustc, or no c++filt (apt install rustc binutils)")
    (tmp_path / "a.rs").write_text(
        'fn main() { println!("{:?}", std::env::args().map(|a| (a.len(), a)).collect::<Vec<_>>()); }'
    )
    command = [
        rustc,
        "-C",
        "symbol-mangling-version=v0",
        "--crate-type",
        "bin",
        "-o",
        tmp_path / "a",
        tmp_path / "a.rs",
    ]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("rustc makes no program here")
    from bpfloader.symbols.binary import Binary

    with open(tmp_path / "a", "rb") as file:
        symbols = sorted(
            {each.name for each in Binary(file).functions() if re.match(r"_R|_ZN.*17h[0-9a-f]{16}E$", each.name)}
        )
    said = subprocess.run([cppfilt], input="\n".join(symbols), capture_output=True, text=True, check=True).stdout
    lines = [re.sub(r"(?<=\w)\[[0-9a-f]+\]|::h[0-9a-f]{16}$|: (?:[iu](?:8|16|32|64|128|size)|bool|char)(?=[>,\]])", "", line)
             for line in said.splitlines()]  # fmt: skip
    assert len(symbols) > 300
    assert [pair for pair in zip(map(readable, symbols), lines) if pair[0] != pair[1]] == []


pieces = st.sampled_from(
    "N v C B I E M X Y T R Q F D K G L U p s_ 1a 2bb u j b l n5_ 0_ _ B_ B0_ B2_ B4_ 9999 A S P O t".split()
)


@given(st.lists(pieces, max_size=60).map("".join) | st.text(max_size=40))
@example("INvC1a1b" + "T" * 200)
@example("INvC1a1b" + "TB6_B6_E" * 100)
@example("INvC1a1bTjjE" + "".join(f"TB{place}_B{place}_B{place}_B{place}_E" for place in "8fmtAHOV") + "E")
@example("NvC" * 300)
@example("1a" * 60)
@example("12ab_1_2_3$LT$.." * 80 + "17h0123456789abcdeX")
@example("INvC1a1bFG9999999999_uEuE")
def test_any_symbol_is_read_or_left_alone_soon(text):
    started = time.process_time()
    for symbol in (f"_R{text}", f"_ZN{text}", f"_ZN{text}17h0123456789abcdefE"):
        found = demangle_rust(symbol)
        assert found is None or len(found) < 1 << 17
    assert time.process_time() - started < 2
