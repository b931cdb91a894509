"""Each error, one line that says the next step."""

import shutil
import threading
from pathlib import Path

import bpfloader
import pytest
from bpfloader import libbpf as libbpf_module
from probing import run_python


def load_with_capabilities(folder: Path, capabilities: str, program: str) -> str:
    """What loading says with these capabilities and no other (setpriv's spelling)."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed (apt install util-linux)")
    code = f"""
        import bpfloader, probe_skel
        with probe_skel.Probe.open() as probe:
            probe.select([{program!r}])
            try:
                probe.load()
                print("loaded")
            except bpfloader.BpfError as error:
                print(type(error).__name__, error)
    """
    done = run_python(folder, code, "setpriv", "--bounding-set", capabilities)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_verifiers_log_is_in_the_error(opened):
    opened.select(["refused"])
    with pytest.raises(bpfloader.VerifierError, match="the verifier refuses the program refused") as caught:
        opened.load()
    assert caught.value.program == "refused" and caught.value.errno
    assert any("invalid mem access" in line for line in caught.value.log)
    assert "invalid mem access" in str(caught.value)


def test_a_hook_that_the_kernel_lacks_is_refused(opened):
    opened.select(["nowhere"])
    with pytest.raises(bpfloader.LoadError, match="refuses the program nowhere.*no such function or tracepoint"):
        opened.load()


def test_the_digest_is_checked(skel, folder, libbpf):
    data = bytearray((folder / "probe.bpf.o").read_bytes())
    data[-1] ^= 1
    with pytest.raises(bpfloader.DigestError, match="take object and skeleton from the same build"):
        skel.Probe.open(bytes(data))


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


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"no object at all" * 100])
def test_what_is_no_object_is_refused(data, libbpf):
    with pytest.raises(bpfloader.ObjectError, match="libbpf can't open"):
        bpfloader.Object.open(data)


def test_a_missing_libbpf_names_the_package(monkeypatch, folder):
    monkeypatch.setattr(libbpf_module, "LIBRARY", "libbpf-that-is-not-there.so.1")
    libbpf_module.library.cache_clear()
    with pytest.raises(bpfloader.LibraryError, match="apt install libbpf1"):
        bpfloader.Object.open(folder / "probe.bpf.o")
    libbpf_module.library.cache_clear()


def test_a_library_without_the_functions_is_too_old(monkeypatch):
    with pytest.raises(bpfloader.LibraryError, match="has no libbpf_version_string; install libbpf 1.0 or newer"):
        libbpf_module.Library("libc.so.6")


def test_missing_capabilities_are_named(folder, kernel):
    said = load_with_capabilities(folder, "-all", "on_enter")
    assert said.startswith("PrivilegeError can't load probe.bpf.o: user 0 lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN")
    assert "give the process those capabilities" in said


def test_network_hooks_alone_want_cap_net_admin(folder, kernel):
    assert load_with_capabilities(folder, "-all,+bpf,+perfmon", "on_enter") == "loaded\n"
    said = load_with_capabilities(folder, "-all,+bpf,+perfmon", "pass")
    assert said.startswith("LoadError can't load probe.bpf.o: the kernel refuses the program pass")
    assert "give the process CAP_NET_ADMIN if it is a network hook, or try another variant" in said


def test_a_user_is_told_to_be_root(folder, kernel):
    data = str((folder / "probe.bpf.o").read_bytes())
    done = run_python(folder, f"""
        import os, bpfloader, probe_skel
        probe = probe_skel.Probe.open({data})
        os.setresuid(65534, 65534, 65534)
        try:
            probe.load()
        except bpfloader.PrivilegeError as error:
            print(error)
    """)  # fmt: skip
    assert "user 65534 lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN" in done.stdout, done.stderr
    assert "run it as root, or give the process those capabilities" in done.stdout


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
    assert all("invalid mem access" in text and "nowhere" not in text for text in errors["refused"])
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
    from bpfloader import refusal

    error = bpfloader.CallError("bpf_object__load failed", errno=3)
    monkeypatch.setattr(refusal, "KERNEL_BTF", "/nonexistent/btf")
    made = refusal.load_refused("x", error, ["libbpf: Error loading vmlinux BTF: -2\n"])
    assert isinstance(made, bpfloader.MissingBtfError) and "CONFIG_DEBUG_INFO_BTF=y" in str(made)
