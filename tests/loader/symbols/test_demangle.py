"""Names of C++: as c++filt reads them, and whatever a file calls a symbol, soon and without an error."""

import shutil
import subprocess
import time

import pytest
from bpfloader.symbols.binary import Binary, find_binary
from bpfloader.symbols.cplusplus import without_templates
from bpfloader.symbols.demangle import demangle
from bpfloader.symbols.functions import matches
from hypothesis import example, given
from hypothesis import strategies as st

NAMES = {
    "_ZN7cluster5front6createEi": "cluster::front::create(int)",
    "_ZNK7cluster5front4nameEv": "cluster::front::name() const",
    "_ZN7clusterplERKNS_4nodeES2_": "cluster::operator+(cluster::node const&, cluster::node const&)",
    "_ZN1aC1Ev": "a::a()",
    "_ZN1aD0Ev": "a::~a()",
    "_ZNSt6vectorIiSaIiEE9push_backERKi": "std::vector<int, std::allocator<int> >::push_back(int const&)",
    "_Z3fooIiEvT_": "foo<int>(int)",
    "_Z3addIJilcEEvDpT_": "add<int, long, char>(int, long, char)",
    "_Z3runPFiPKcE": "run(int (*)(char const*))",
    "_Z3runRA3_KcM1ai": "run(char const (&) [3], int a::*)",
    "_ZN12_GLOBAL__N_16hiddenEPl": "(anonymous namespace)::hidden(long*)",
    "_ZZ4mainvENKUlvE_clEv": "main()::{lambda()#1}::operator()() const",
    "_ZN1a1bILb1ELi5ELj7EE1cEv": "a::b<true, 5, 7u>::c()",
    "_ZN3fooB5cxx11Ev": "foo[abi:cxx11]()",
    "_ZN4core3fmt5Write9write_str17h0123456789abcdefE": None,  # Rust's functions have no arguments: see below
    "_Z1fDn": "f(decltype(nullptr))",
    "_ZlsRSoRK1a": "operator<<(std::ostream&, a const&)",
    "_ZN1acvbEv": "a::operator bool()",
    "_Z4workPi.isra.0": "work(int*)",
    "_Z4workPi.cold": None,
    "main": None, "_Z": None, "": None, "_ZN1aE": None, "_ZTV1a": None,
}  # fmt: skip


@pytest.mark.parametrize("symbol", NAMES)
def test_forms(symbol):
    found = demangle(symbol)
    assert (str(found) if found else None) == NAMES[symbol]


@pytest.mark.parametrize("wanted, symbol", [
    ("a::b", "_ZN1a1bEi"), ("a::b(int)", "_ZN1a1bEi"), ("a::b ( int )", "_ZN1a1bEi"), ("a::b", "_ZN1a1bIiEEvT_"),
    ("a::b<int>", "_ZN1a1bIiEEvT_"), ("a::b() const", "_ZNK1a1bEv"),
    ("f(const char*, std::string)", "_Z1fPKcNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"),
    ("f(unsigned long const&)", "_Z1fRKm"), ("f(const unsigned long&)", "_Z1fRKm"), ("a::operator()", "_ZN1aclEi"),
    ("a::operator()(int)", "_ZN1aclEi"), ("a::operator<", "_ZN1altEi"), ("(anonymous namespace)::f", "_ZN12_GLOBAL__N_11fEi"),
])  # fmt: skip
def test_a_name_matches_its_symbols(wanted, symbol):
    assert matches(demangle(symbol), wanted)


@pytest.mark.parametrize("wanted, symbol", [
    ("a::b", "_ZN1a1cEi"), ("a::b(long)", "_ZN1a1bEi"), ("b", "_ZN1a1bEi"), ("a::b<long>", "_ZN1a1bIiEEvT_"), ("a::b", "main"),
])  # fmt: skip
def test_another_name_doesn_t(wanted, symbol):
    assert not matches(demangle(symbol), wanted)


def test_templates_are_left_out():
    assert without_templates("a<int>::b<c<d>, e>::operator<< <f>") == "a::b::operator<< "
    assert without_templates("a::operator-><b>") == "a::operator->" and without_templates("a::operator<=>") == "a::operator<=>"


def test_as_c_filt_reads_them():
    """Of libstdc++'s own functions; c++filt spells the standard's abbreviations out, and results of templates."""
    library = find_binary("libstdc++.so.6")
    if not library or not shutil.which("c++filt"):
        pytest.skip("there is no libstdc++.so.6, or no c++filt (apt install binutils)")
    with open(library, "rb") as file:
        symbols = sorted({each.name for each in Binary(file).functions() if each.name.startswith("_ZN")})[::5]
    found = {symbol: demangle(symbol) for symbol in symbols}
    said = subprocess.run(["c++filt"], input="\n".join(symbols), capture_output=True, text=True, check=True).stdout
    others = {symbol: line for symbol, line in zip(symbols, said.splitlines()) if "basic_" not in line}
    assert len(others) > 100 and sum(found[each] is None for each in symbols) <= len(symbols) // 50
    differ = [(str(found[each]), line) for each, line in others.items() if found[each] and not line.endswith(str(found[each]))]
    assert [pair for pair in differ if "std::string" not in pair[0]] == []


pieces = st.sampled_from("N E I J L P K R S_ S0_ S1_ St Sa Ss T_ T0_ Dp F A3_ M i j v c C1 D2 cv Z Ul Ut B U u 1a 2bb 3foo pl 0_ _ 9999999999 n5 X DpT_ S_S_ S_S_S_S_".split())


@given(st.lists(pieces, max_size=60).map("".join) | st.text(max_size=40))
@example("1fI" + "S_" * 500 + "E")
@example("1f" + "P" * 4000 + "i")
@example("N" * 2000)
@example("1fIi" + "1aIS_S_S_S_E" * 20 + "EvT_")
@example("1f" + "".join(f"N1aI{'S_' * 8}E1bE" for _ in range(40)))
def test_any_symbol_is_read_or_left_alone_soon(text):
    started = time.process_time()
    found = demangle(f"_Z{text}")
    assert found is None or len(str(found)) < 1 << 19
    assert time.process_time() - started < 2
