"""The commands `fetch` and `vendor`: the store filled, and a folder for machines without a network."""

import os
import sys
from pathlib import Path

import SCons.Script

from ebpfbuild.arch import arches_named, host_arch
from ebpfbuild.escape import printable
from ebpfbuild.rebuild.step_code import CHECKOUT

from .errors import StopError, user_error
from .fetching import bundled_pins, fetch_options
from .run import run_of

TEST_LIBRARIES = CHECKOUT / "tests" / "libraries.toml"
LOCKS = ("requirements.lock", "requirements-test.lock", "pip.lock")


def fetch(env):
    """Has every artifact in the store that builds for these arches on this machine may ask for."""
    from ebpfbuild.fetch.store import cache_folder

    artifacts = user_error(_fetched, env, _machines("", "HOSTS"))
    _tell(artifacts)
    print(printable(f"{len(artifacts)} artifacts are in {cache_folder(os.environ)}"))


def vendor(env):
    """Writes a folder, or a tar of one, from which a machine without a network sets up, builds, tests and releases."""
    user_error(_vendor, env)


def _vendor(env):
    from ebpfbuild.console import amount
    from ebpfbuild.fetch.store import BLOBS, cache_folder
    from ebpfbuild.vendor.artifacts import library_pins
    from ebpfbuild.vendor.folder import VendorContent, require_room, write_vendor
    from ebpfbuild.vendor.wheels import download_wheels, require_python

    given = SCons.Script.ARGUMENTS
    hosts = _machines(given.get("HOSTS", ""), "HOSTS")
    pythons = (
        given.get("PYTHONS", "").split(",")
        if given.get("PYTHONS")
        else [f"{sys.version_info[0]}.{sys.version_info[1]}"]
    )
    for python in pythons:
        require_python(python)
    place = Path(env["EBPF"].root, _folder())
    require_room(place)  # and not only when all is here
    tests = library_pins(TEST_LIBRARIES, [host.name for host in hosts])
    artifacts = _fetched(env, hosts, tests, release=True)  # an alternate is no pinned header
    _tell(artifacts)

    def add_wheels(folder):
        for host in hosts:
            for python in pythons:
                print(printable(f"wheels for {host.machine} with Python {python}"), flush=True)
                download_wheels([CHECKOUT / lock for lock in LOCKS], host.machine, python, folder)

    digests = dict.fromkeys(digest for artifact in artifacts for digest in artifact.digests)
    content = VendorContent(
        tuple(host.machine for host in hosts),
        tuple(pythons),
        tuple(arch.name for arch in env["EBPF_ARCHES"]),
        tuple(digests),
        add_wheels,
    )
    manifest = write_vendor(place, content, cache_folder(os.environ) / BLOBS)
    size = place.stat().st_size if place.is_file() else sum((place / path).stat().st_size for path in manifest.files)
    print(
        printable(
            f"{_folder()}: {len(manifest.files)} files, {amount(size)}; build from it: ./sconsw MIRROR={_folder()}"
        )
    )


def _fetched(env, hosts, more=(), **changed):
    """Returns the artifacts of all environments of the project and of `more` pins, once each."""
    from ebpfbuild.vendor.artifacts import fetch_artifacts, wanted_pins

    run = run_of(env.fs)
    kernels = SCons.Script.ARGUMENTS.get("KERNELS", "").split(",")
    pins = {pin.sha256: pin for pin in more}
    for session in run.sessions.values():
        names = [host.name for host in hosts]
        given = session.toolchain, session.linker, env["EBPF_ARCHES"], names, kernels, bundled_pins(session)
        pins |= {pin.sha256 or pin.where: pin for pin in wanted_pins(*given)}
    return fetch_artifacts(list(pins.values()), fetch_options(env, **changed), run.reporter)


def _tell(artifacts):
    from ebpfbuild.console import amount

    for artifact in artifacts:
        print(printable(f"{artifact.digests[0]}  {artifact.pin.title}, {amount(artifact.size)}"))


def _machines(text, name):
    """Returns the arches of the machines that are to build: those named, or this one."""
    if text:
        return arches_named(text, name)
    return (host_arch(os.uname().machine),)


def _folder():
    """Returns the word behind `vendor` on the command line."""
    words = SCons.Script.COMMAND_LINE_TARGETS
    names = words[words.index("vendor") + 1 :]
    if len(names) != 1:
        raise StopError("vendor writes one folder; name it: ./sconsw vendor FOLDER ARCH=all")
    return names[0]
