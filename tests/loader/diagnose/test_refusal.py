"""Each error, one line that says the next step."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import bpfloader
import pytest
from bpfloader.kernel import host
from bpfloader.libbpf import library as libbpf_module
from bpfloader.diagnose import verifier_log
from bpfloader.diagnose.verifier_report import read_report
from probing import run_python
from compiling import FLAGS, TESTDATA


def compile_object(clang: list[str], name: str, target: str = FLAGS[1]) -> bytes:
    """Compiles an object of testdata/loader for a byte order."""
    command = [*clang, *FLAGS[:1], target, *FLAGS[2:], "-c", f"loader/{name}.bpf.c", "-o", "-"]
    done = subprocess.run(command, cwd=TESTDATA, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="session")
def broken(clang, tmp_path_factory) -> Path:
    """The object of testdata/loader/broken.bpf.c."""
    path = tmp_path_factory.mktemp("broken") / "broken.bpf.o"
    path.write_bytes(compile_object(clang, "broken"))
    return path


def refused(path: Path, program: str, kind: type = bpfloader.VerifierError) -> bpfloader.LoadError:
    """Returns the error of loading an object with that program alone."""
    with bpfloader.Object.open(path) as opened:
        opened.progs[program].autoload = True
        with pytest.raises(kind) as caught:
            opened.load()
    assert caught.value.program == program and caught.value.errno_name in str(caught.value)
    return caught.value


def is_at_a_line(first: str, source: str) -> bool:
    """Returns true if an error quotes a source line with a file and a number, and that line has the text it quotes."""
    found = re.search(r"`([^`]*)` \((loader/broken\.bpf\.c):(\d+)\)", first[max(0, first.find(source)) :])
    if not found or source not in first:
        return False
    return found[1] in (TESTDATA / found[2]).read_text().splitlines()[int(found[3]) - 1]


def test_the_verifiers_log_is_in_the_error(opened):
    opened.select(["refused"])
    with pytest.raises(bpfloader.VerifierError, match="the verifier refuses the program refused") as caught:
        opened.load()
    assert caught.value.program == "refused" and caught.value.errno
    assert any("invalid mem access" in line for line in caught.value.log)
    assert verifier_log.diagnose_log(caught.value.log).reason in str(caught.value)


def test_a_program_that_the_verifier_never_looked_at_is_the_kernels_refusal():
    """Some kernels deny a hook with EPERM behind a log of statistics alone; there is nothing in it to read."""
    from bpfloader.diagnose import refusal

    said = """libbpf: prog 'list': BPF program load failed: Operation not permitted
libbpf: prog 'list': -- BEGIN PROG LOAD LOG --
processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
libbpf: prog 'list': failed to load: -1
"""
    made = refusal.load_refused("x", bpfloader.CallError("bpf_object__load failed", errno=1), [said])
    assert type(made) is not bpfloader.VerifierError and "the verifier" not in made.what
    stated = said.replace("processed 0", "func 'bpf_iter_x' is denied\nprocessed 0")
    made = refusal.load_refused("x", bpfloader.CallError("bpf_object__load failed", errno=1), [stated])
    assert type(made) is bpfloader.VerifierError and "(EPERM: Operation not permitted): func 'bpf_iter_x'" in made.what


def test_a_program_that_signals_kept_from_the_verifier_is_not_the_programs_fault():
    from bpfloader.diagnose import refusal

    said = """libbpf: prog 'list': BPF program load failed: Resource temporarily unavailable
libbpf: prog 'list': -- BEGIN PROG LOAD LOG --
0: R1=ctx() R10=fp0
145: (b7) r1 = 56
processed 146 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
"""
    made = refusal.load_refused("x", bpfloader.CallError("bpf_object__load failed", errno=11), [said])
    assert type(made) is bpfloader.LoadError and str(made).splitlines()[0] == (
        "can't load x: signals interrupted the verifier each time (EAGAIN: Resource temporarily unavailable); "
        "open and load it again, without a timer or a process that sends it signals all the time"
    )


def test_a_hook_that_the_kernel_lacks_is_refused(opened):
    opened.select(["nowhere"])
    with pytest.raises(bpfloader.LoadError, match="refuses the program nowhere.*no such function or tracepoint"):
        opened.load()


def test_the_digest_is_checked(skel, folder, libbpf):
    data = bytearray((folder / "probe.bpf.o").read_bytes())
    data[-1] ^= 1
    with pytest.raises(bpfloader.DigestError, match="take object and skeleton from the same build"):
        skel.Probe.open(bytes(data))


def test_a_digest_that_differs_because_the_object_is_cut_short_says_so(skel, folder, libbpf):
    data = (folder / "probe.bpf.o").read_bytes()
    with pytest.raises(bpfloader.DigestError, match=r"its skeleton was made for(.|\n)*is cut short: it has"):
        skel.Probe.open(data[:1000])


def test_a_skeleton_without_its_object_names_the_file(skel, monkeypatch, libbpf):
    monkeypatch.setattr(skel.Probe, "FILE", "gone.bpf.o")
    with pytest.raises(bpfloader.ObjectError) as caught:
        skel.Probe.open()
    place = Path(skel.__file__).with_name("gone.bpf.o")
    fix = "put gone.bpf.o beside probe_skel.py, both from the same build"
    assert str(caught.value) == f"can't read {place} (ENOENT: No such file or directory); {fix}"


@pytest.mark.parametrize("name, why", [("gone", "ENOENT: No such file or directory"), ("", "EISDIR: Is a directory")])
@pytest.mark.parametrize("role", ["object", "btf"])
def test_a_path_that_can_t_be_read_is_named(folder, libbpf, tmp_path, role, name, why):
    path = str(tmp_path / name)
    arguments = {"source": path} if role == "object" else {"source": folder / "probe.bpf.o", "btf": path}
    with pytest.raises(bpfloader.ObjectError) as caught:
        bpfloader.Object.open(**arguments)
    assert str(caught.value) == f"can't read {tmp_path / name} ({why}); give the path of a file that this user may read"


def test_an_object_for_another_machine_is_refused(skel, monkeypatch, libbpf):
    monkeypatch.setattr(skel.Probe, "OBJECTS", {"pdp11": "0" * 64})
    with pytest.raises(bpfloader.ObjectError, match="compiled for pdp11, this machine is"):
        skel.Probe.open()


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda data: b"", "is empty"),
        (lambda data: data[:20], "is cut short: 20 bytes, fewer than an ELF header; copy it again"),
        (lambda data: data[: len(data) // 2], "is cut short: it has .* its header counts on .*; copy it again"),
        (lambda data: data[:-1], "is cut short: .*; copy it again"),
        (lambda data: b"no object at all" * 100, "is no BPF object: it starts with b'no o', not with ELF's mark"),
        (lambda data: data[:4] + b"\1" + data[5:], "is no 64-bit ELF file"),
        (lambda data: Path("/proc/self/exe").read_bytes(), "is an ELF file for another machine"),
    ],
)
def test_what_is_no_whole_object_is_named_as_what_it_is(compiled, libbpf, spoil, said):
    with pytest.raises(bpfloader.ObjectError, match=f"^the object given {said}"):
        bpfloader.Object.open(spoil(compiled))


def test_an_object_of_the_other_byte_order_is_named(clang, libbpf):
    other = "bpfeb" if sys.byteorder == "little" else "bpfel"
    with pytest.raises(bpfloader.ObjectError, match=r"-endian, this machine is not; compile it with -target bpf"):
        bpfloader.Object.open(compile_object(clang, "broken", other))


def test_a_missing_libbpf_names_the_package(monkeypatch, folder):
    monkeypatch.setattr(libbpf_module, "LIBRARY", "libbpf-that-is-not-there.so.1")
    libbpf_module.library.cache_clear()
    with pytest.raises(bpfloader.LibraryError, match="apt install libbpf1"):
        bpfloader.Object.open(folder / "probe.bpf.o")
    libbpf_module.library.cache_clear()


def test_a_library_without_the_functions_is_too_old(monkeypatch):
    with pytest.raises(bpfloader.LibraryError, match="has no libbpf_version_string; install libbpf 1.0 or newer"):
        libbpf_module.Library("libc.so.6")


def test_each_thread_keeps_its_own_log(skel, kernel):
    errors = {}

    def fail(name):
        with skel.Probe.open() as probe:
            probe.select([name])
            try:
                probe.load()
            except bpfloader.LoadError as error:
                errors.setdefault(name, []).append(str(error))

    threads = [threading.Thread(target=fail, args=(name,)) for name in ("refused", "nowhere") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors["refused"]) == len(errors["nowhere"]) == 4
    assert all("the verifier refuses the program refused" in text and "nowhere" not in text for text in errors["refused"])
    assert all("no_such_tracepoint" in text and "refused'" not in text for text in errors["nowhere"])


def test_libbpf_prints_nothing_itself(folder, kernel):
    done = run_python(folder, """
        import bpfloader, probe_skel
        probe = probe_skel.Probe.open()
        probe.select(["refused"])
        try:
            probe.load()
        except bpfloader.VerifierError:
            probe.destroy()
    """)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_missing_btf_says_what_to_do(skel, kernel, monkeypatch):
    from bpfloader.btf import path
    from bpfloader.diagnose import refusal

    error = bpfloader.CallError("bpf_object__load failed", errno=3)
    monkeypatch.setattr(path, "KERNEL_BTF", "/nonexistent/btf")
    said = ["libbpf: Error loading vmlinux BTF: -2\n"]
    made = refusal.load_refused("x", error, said)
    assert isinstance(made, bpfloader.MissingBtfError) and "CONFIG_DEBUG_INFO_BTF=y, or give its BTF" in str(made)
    assert "BTF=y: the BTF that was given serves CO-RE alone" in str(refusal.load_refused("x", error, said, btf="given.btf"))
    packed = refusal.load_refused("x", error, said, packed=("5.4.0-91-generic", "6.6.*"))
    assert isinstance(packed, bpfloader.MissingBtfError)
    assert "has no BTF, and the package has it for 5.4.0-91-generic, 6.6.* alone; declare it in toolchain.toml" in str(packed)


# What kernels before a release call the same (kernel/bpf/verifier.c).
EARLIER = {
    "leaked": ("6.13", "Unreleased reference id=2 alloc_insn=4, at `__u64 *record = bpf_ringbuf_reserve("),
    "scalar": ("5.18", "R1 invalid mem access 'inv'"),
    "stack": ("5.12", "invalid stack off=-520 size=8"),
}


@pytest.mark.parametrize("said, hint", [
    ("Unreleased reference id=2 alloc_insn=4", "bpf_ringbuf_submit or _discard"),
    ("R1 invalid mem access 'inv'", "read kernel memory with BPF_CORE_READ"),
    ("invalid stack off=-520 size=8", "the stack has 512 bytes"),
])  # fmt: skip
def test_the_words_of_earlier_kernels_are_read(said, hint):
    course = "; taken = reserve(&events);", "4: (85) call bpf_ringbuf_reserve#131", "5: (95) exit"
    read = verifier_log.diagnose_log((*course, said, "processed 6 insns (limit 1000000) max_states_per_insn 0"))
    assert (read.reason, read.source) == (said, "`taken = reserve(&events);`")
    assert hint in read.hint


@pytest.mark.parametrize(
    "program, reason, hint",
    [
        ("unchecked", "R0 invalid mem access 'map_value_or_null', at `sink = value[1];`",
         "check the pointer against NULL"),
        ("scalar", "R1 invalid mem access 'scalar'", "read kernel memory with BPF_CORE_READ"),
        ("endless", "infinite loop detected", "a bound that is a constant"),
        ("leaked", "reference leak, at `__u64 *record = bpf_ringbuf_reserve(", "bpf_ringbuf_submit or _discard"),
        ("kernel_written", "only read is supported, at `p->pid = 5;`", "the kernel's structs can be read by programs"),
        ("out_of_bounds", "unbounded min value", "check the index or length against a constant"),
        ("no_result", "R0 !read_ok", "return a value on every path"),
        ("stack", "invalid write to stack R10 off=-520 size=8", "the stack has 512 bytes"),
        ("uninitialised", "R5 !read_ok", "never set"),
        ("constant_written", "write into map forbidden", "that memory is read-only"),
        ("wrong_helper", "bpf_skb_load_bytes#26", "programs of this type may not call bpf_skb_load_bytes"),
        ("unknown_helper", "invalid func unknown#100000", "doesn't have that helper"),
        ("bad_return", "At program exit the register R0", "return only what the hook allows"),
        ("bad_context", "invalid bpf_context access off=400", "that program type may not use that field"),
    ],
)  # fmt: skip
def test_a_verifiers_refusal_says_the_reason_the_line_and_what_helps(broken, kernel, program, reason, hint):
    error = refused(broken, program)
    first, *rest = str(error).splitlines()
    told = read_report(error.log)
    if told:  # Linux 7.3 and newer have words of their own for most
        reason, hint = told.reason.partition(" (acquired at ")[0], told.suggestion  # that place has its folder
    before, earlier = EARLIER.get(program, ("", ""))
    known = [reason, earlier] if before and host.kernel_is_before(before) else [reason]
    assert any(words in first for words in known) and hint in first and is_at_a_line(first, "`")
    assert any(line.startswith("  processed ") for line in rest)


@pytest.mark.parametrize(
    "program, said",
    [
        ("no_field", "CO-RE can't resolve struct task_struct.piid: this kernel's struct task_struct has no piid (nearest: "),
        ("renamed_field", "struct task_struct.state: this kernel's struct task_struct has no state"),
        ("moved_field", "this kernel's struct sock has no skc_daddr: it is in __sk_common.skc_daddr"),
        ("no_type", "struct no_such_struct.field: this kernel has no struct no_such_struct"),
        ("no_enumerator", "enum bpf_map_type::BPF_MAP_TYPE_RINGBUFF: this kernel's enum bpf_map_type has no "
                          "BPF_MAP_TYPE_RINGBUFF (nearest: BPF_MAP_TYPE_RINGBUF,"),
    ],
)  # fmt: skip
def test_a_co_re_failure_names_the_field_and_what_the_kernel_has_instead(broken, kernel, program, said):
    first = str(refused(broken, program)).splitlines()[0]
    assert said in first and "guard it with bpf_core_" in first and is_at_a_line(first, "`")


@pytest.mark.parametrize(
    "program, said",
    [
        ("no_function", "no such function or tracepoint: tcp_v4_connekt; nearest: tcp_v4_connect"),
        ("no_tracepoint", "no such function or tracepoint: inet_sock_set_stat; nearest: inet_sock_set_state"),
        ("no_section", "doesn't know the section not_a_section/of_libbpf; spell it as libbpf does"),
    ],
)
def test_a_name_that_nobody_knows_is_named(broken, kernel, program, said):
    assert said in str(refused(broken, program, bpfloader.LoadError)).splitlines()[0]


def test_a_section_newer_than_libbpf_is_said_so_by_version(broken, kernel):
    from bpfloader.kernel.versions import version_of

    if version_of(bpfloader.version()) >= (1, 3):
        pytest.skip("this libbpf knows the section netfilter")
    with bpfloader.Object.open(broken) as opened:
        opened.progs.newer_section.autoload = True
        with pytest.raises(bpfloader.LibraryError, match='has no SEC."netfilter"., .* install libbpf 1.3 or newer'):
            opened.load()


@pytest.mark.slow
def test_a_loop_over_a_variable_is_named_and_its_log_is_kept_in_part(broken, kernel):
    error = refused(broken, "unbounded")
    assert 15 << 20 < sum(len(line) + 1 for line in error.log) <= (16 << 20) + 100  # the kernel wrote more than 40 MiB
    assert error.log[0].startswith(("0:", "arg#0", "Func#", "func#")) and "processed 1000001 insns" in error.log[-1]
    (cut,) = (line for line in error.log if line.startswith("["))
    assert int(cut[1:].split()[0]) > 16 << 20 and cut.endswith(" bytes of the log are left out here]")
    first, second, *rest = str(error).splitlines()
    assert "program is too large" in first and "; give the loop a small constant for a bound" in first
    assert "in a loop without a bound, or with a large one, at " in first
    assert is_at_a_line(first, "`for (__u64 i = 0; i < n; i++)`")
    assert second == f"  [{len(error.log) - len(rest)} more lines of the verifier's log are in this error's `log`]"
    assert [line.split(": ")[0].strip() for line in rest[:2]] == ["4", "3"]  # once, and no registers
    assert len(rest) == 4


def test_what_the_kernel_says_behind_an_instruction_is_its_reason(broken, kernel):
    first, *rest = str(refused(broken, "walk")).splitlines()
    assert "infinite loop detected at insn" in first and "btf_id" not in first
    assert is_at_a_line(first, "`while (p->pid > 1) p = p->real_parent;`")
    assert not any("state:" in line for line in rest)
    found = verifier_log.diagnose_log((
        "func 'sched_switch' arg0 has btf_id 114 type STRUCT 'task_struct'", "; while (p->pid > 1) @ a.bpf.c:7",
        "6: (61) r2 = *(u32 *)(r1 +1264)       ; R1=trusted_ptr_task_struct() R2=scalar()", "; p = p->real_parent;",
        "10: (66) if w4 s> 0x1 goto pc-5 infinite loop detected at insn 6", "processed 14 insns (limit 1000000)",
    ))  # fmt: skip
    assert found[:2] == ("infinite loop detected at insn 6", "`while (p->pid > 1)` (a.bpf.c:7)")


@pytest.mark.parametrize(
    "log, hint",
    [
        ("cannot call GPL-restricted function from non-GPL compatible program", "a licence that the kernel counts"),
        ("misaligned stack access off (0x0; 0x0)+-15+0 size 8", "copy it with __builtin_memcpy"),
        ("combined stack size of 2 calls is 576. Too large", "the stack has 512 bytes"),
        ("invalid indirect read from stack R4 off -16+8 size 16", "initialise all of the variable"),
        ("bpf_modify_return_test() is not modifiable", "those named security_, and where it was built with CONFIG_FUNC"),
        ("R2 pointer comparison prohibited", "give the process CAP_PERFMON"),
        ("invalid access to packet, off=12 size=2, R2(id=0,off=12,r=0)", "compare data + length with data_end"),
        ("the sequence that nobody has a hint for", ""),
    ],
)
def test_the_words_of_other_kernels_get_their_hint(log, hint):
    found = verifier_log.diagnose_log(("; line = of(source);", "7: (79) r1 = *(u64 *)(r0 +8)", log, "processed 7 insns (limit 1000000)"))
    assert found.reason == log and found.source == "`line = of(source);`"
    assert hint in found.hint and bool(hint) == bool(found.hint)


def test_an_older_kernel_is_told_who_has_the_feature_first(monkeypatch):
    from bpfloader.kernel import host

    monkeypatch.setattr(host, "kernel_release", lambda: "5.4.0-1-generic")
    monkeypatch.setattr(verifier_log, "kernel_release", lambda: "5.4.0-1-generic")
    found = verifier_log.diagnose_log(("3: (85) call bpf_ringbuf_reserve#131", "invalid func unknown#131", "processed 4 insns"))
    assert found.hint == "the helper bpf_ringbuf_reserve came with Linux 5.8, this is 5.4.0-1-generic"


def test_an_old_kernel_without_room_for_maps_is_told_of_memlock(monkeypatch):
    from bpfloader.kernel import host
    from bpfloader.diagnose import refusal

    monkeypatch.setattr(host, "kernel_release", lambda: "5.4.0")
    monkeypatch.setattr(host, "memlock_limit", lambda: 65536)
    error = bpfloader.CallError("bpf_object__load failed", errno=12)
    made = refusal.load_refused("x", error, ["libbpf: map 'm': failed to create: Cannot allocate memory(-12)\n"])
    assert "the kernel refuses the map m (ENOMEM: Cannot allocate memory)" in str(made)
    assert "raise RLIMIT_MEMLOCK, 64 KiB now: `ulimit -l unlimited`" in str(made)


def test_a_map_that_the_kernel_refuses_is_shown_with_its_sizes(opened):
    opened.maps.slots.max_entries = 0
    with pytest.raises(bpfloader.LoadError, match="the map slots .EINVAL.*: array of max_entries 0, key 4 bytes"):
        opened.load()


@pytest.mark.parametrize("section, had, said", [
    ("kprobe/do_sys_openat2", "BPF_EVENTS", "CONFIG_KPROBES, CONFIG_KPROBE_EVENTS; use fentry or a tracepoint"),
    ("kretprobe.multi/do_sys_*", "BPF_EVENTS", "CONFIG_KPROBES, CONFIG_FPROBE; use fentry or a tracepoint"),
    ("fexit.s/do_sys_openat2", "BPF_JIT", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS; use a kprobe or a tracepoint"),
    ("kprobe/do_sys_openat2", "KPROBES", "CONFIG_KPROBE_EVENTS, CONFIG_BPF_EVENTS; use another kind of program"),
    ("lsm/file_open", "BPF_JIT", "CONFIG_BPF_LSM, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS; use another kind of program"),
])
def test_what_the_kernel_was_built_without_is_named_and_what_to_use_instead(monkeypatch, section, had, said):
    from bpfloader.kernel import host
    from bpfloader.diagnose import refusal

    monkeypatch.setattr(host, "kernel_config", lambda: frozenset({"BPF", "FUNCTION_TRACER", had}))
    error = bpfloader.CallError("bpf_program__attach failed", errno=2)
    made = refusal.attach_refused("on_open", error, [], section)
    assert made.program == "on_open" and made.errno_name == "ENOENT"
    assert str(made).splitlines()[0].endswith(f"this kernel was built without {said}")
