"""A probe at a function that the compiler renamed, inlined or excluded: the error says what the kernel has instead."""

import errno

import pytest
from bpfloader.diagnose import attach_target, kernel_function
from bpfloader.diagnose.refusal import attach_refused
from bpfloader.errors import CallError

KALLSYMS = """\
ffffffff81000000 T tcp_connect
ffffffff81000100 t tcp_drop.isra.0
ffffffff81000200 t tcp_drop.isra.0.cold
ffffffff81000300 t pick_file.constprop.2
ffffffff81000400 t pick_file.part.0
ffffffff81000500 t __rcu_lock.llvm.1234567890
ffffffff81000600 t do_both
ffffffff81000700 t do_both
ffffffff81000800 t notrace_one
ffffffff81000900 t notrace_two
ffffffff81000a00 d tcp_data
ffffffff81000b00 T kprobe_int3_handler
ffffffff81000c00 t __do_sys_getpid
ffffffff81000d00 T __ia32_sys_getpgid
ffffffff81000e00 T __x64_sys_getpgid
ffffffff81000f00 T sys_getppid
ffffffffc0000000 t in_module	[nf_tables]
"""
TRACEABLE = "tcp_connect\ntcp_drop.isra.0\nin_module [nf_tables]\n"
BLACKLIST = "0xffffffff81000b00-0xffffffff81000b80\tkprobe_int3_handler\n"


@pytest.fixture(autouse=True)
def listings(tmp_path, monkeypatch):
    """The kernel's own listings, made up; and a kernel that was built with kprobes."""
    for name, text in {"KALLSYMS": KALLSYMS, "BLACKLIST": BLACKLIST, "TRACEABLE": TRACEABLE}.items():
        (tmp_path / name).write_text(text)
        path = str(tmp_path / name)
        monkeypatch.setattr(kernel_function, name, [path] if name == "TRACEABLE" else path)
    monkeypatch.setattr(attach_target, "missing_options", lambda section: ())
    return tmp_path


def said(number: int, section: str, **request) -> str:
    error = attach_refused("probe", CallError("failed", errno=number), [], section, request)
    assert error.fix and "see libbpf" not in error.fix
    return f"{error.what}; {error.fix}"


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESRCH, errno.EINVAL])
@pytest.mark.parametrize("section", ["kprobe/{}", "kretprobe/{}", "kprobe/{}+0x10"])
@pytest.mark.parametrize("function, text", [
    ("tcp_drop", "this kernel has no function tcp_drop; it has tcp_drop.isra.0; attach by that name; the compiler made it of "
                 "tcp_drop, and its arguments may be others"),
    ("pick_file", "it has pick_file.constprop.2, pick_file.part.0; attach by one of these names; the compiler made it"),
    ("__rcu_lock", "it has __rcu_lock.llvm.1234567890; attach by that name"),
    ("tcp_conect", "this kernel has no function tcp_conect; nearest: tcp_connect"),
    ("tcp_data", "this kernel has no function tcp_data"),
    ("kprobe_int3_handler", "this kernel takes no probe at kprobe_int3_handler; take a function that calls it"),
])  # fmt: skip
def test_one_function(number, section, function, text):
    assert text in said(number, section.format(function))
    assert text in said(number, section.partition("/")[0], function=function)


@pytest.mark.parametrize("options, number, section, request_, told", [
    ((), errno.EINVAL, "kprobe/tcp_connect", {}, True), (("KPROBES",), errno.EINVAL, "kretprobe", {"function": "tcp_connect"}, True),
    ((), errno.EINVAL, "kprobe/tcp_connect+0x10", {}, False), ((), errno.EINVAL, "kprobe", {"function": "tcp_connect", "offset": 8}, False),
    (("KPROBES_ON_FTRACE",), errno.EINVAL, "kprobe/tcp_connect", {}, False), ((), errno.EACCES, "kprobe/tcp_connect", {}, False),
    ((), errno.EINVAL, "kprobe/do_both", {}, False), ((), errno.EINVAL, "kprobe.multi", {"function": "tcp_connect", "functions": ()}, False),
])  # fmt: skip
def test_an_entry_that_ftrace_has_for_itself(monkeypatch, options, number, section, request_, told):
    """As on Debian's 6.12 for riscv64."""
    monkeypatch.setattr(kernel_function, "kernel_config", lambda: frozenset(options))
    error = attach_refused("probe", CallError("failed", errno=number), [], section, request_)
    text = "ftrace has the entry of tcp_connect, and this kernel takes no kprobe there: it was built without CONFIG_KPROBES_ON_FTRACE; take fentry"
    assert (text in f"{error.what}; {error.fix}") is told


@pytest.mark.parametrize("call, text", [
    ("getppid", "libbpf doesn't find the function of the system call getppid, which is sys_getppid here; take SEC(\"kprobe/sys_getppid\")"),
    ("getpgid", "which is __x64_sys_getpgid here; take SEC(\"kprobe/__x64_sys_getpgid\")"),
    ("getpgidd", "this kernel has no system call getpgidd; nearest: getpgid"),
])  # fmt: skip
def test_a_system_call_that_libbpf_does_not_find(call, text):
    """As on arm, whose system calls have no wrappers: of those without arguments there is no __se_sys_x."""
    assert text in said(errno.ENOENT, f"ksyscall/{call}")
    assert text in said(errno.ENOENT, "kretsyscall", syscall=call)


def test_several_functions_of_one_name():
    text = said(errno.EADDRNOTAVAIL, "kprobe/do_both")
    assert "this kernel has several functions do_both; choose one by its address in /proc/kallsyms" in text


@pytest.mark.parametrize("section", ["kprobe.multi/{}", "kretprobe.multi/{}", "kprobe.session/{}"])
@pytest.mark.parametrize("pattern, text", [
    ("notrace_*", "what matches notrace_* is in /proc/kallsyms alone, and can't be traced by many at once: notrace_one, notrace_two; "
                  'take SEC("kprobe") for one'),
    ("nothing_?", "no function of this kernel matches nothing_?; /proc/kallsyms lists those that it has"),
])  # fmt: skip
def test_a_pattern(section, pattern, text):
    assert text in said(errno.ESRCH, section.format(pattern))
    assert text in said(errno.EINVAL, section.partition("/")[0], function=pattern, functions=())


def test_functions_that_are_listed():
    text = said(errno.ESRCH, "kprobe.multi", function="", functions=["tcp_connect", "tcp_drop"])
    assert "this kernel has no function tcp_drop; it has tcp_drop.isra.0" in text
    text = said(errno.EINVAL, "kprobe.multi", function="", functions=["in_module", "notrace_one"])
    assert "notrace_one is in /proc/kallsyms alone, and can't be traced by many at once" in text
    assert "is in /proc/kallsyms" not in said(errno.EINVAL, "kprobe.multi", function="", functions=["in_module"])


def test_without_listings(listings, monkeypatch):
    """Where neither /proc/kallsyms nor tracefs can be read, the kernel's BTF tells what it has."""
    for name in ("KALLSYMS", "BLACKLIST", "TRACEABLE"):
        (listings / name).unlink()
    monkeypatch.setattr(kernel_function, "kernel_names", lambda types, kind: {"tcp_connect"})
    assert "this kernel has no function tcp_conect; nearest: tcp_connect" in said(errno.ENOENT, "kprobe/tcp_conect")
    assert "matches x*" not in said(errno.ENOENT, "kprobe.multi/x*")


def test_fentry_at_a_copy_that_the_compiler_made():
    from bpfloader.diagnose.libbpf_messages import explain_load

    message = "libbpf: prog 'f': failed to find kernel BTF type ID of 'tcp_drop': -3"
    found = explain_load(message, "fentry/tcp_drop", None)
    assert found.what == "this kernel has no function tcp_drop; it has tcp_drop.isra.0"
    assert found.fix.startswith('take SEC("kprobe") for that')
