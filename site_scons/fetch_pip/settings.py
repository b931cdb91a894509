"""Reads pip's settings, from its environment variables and configuration files, and the places that they name."""

import configparser
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from ebpfbuild.escape import without_secrets
from ebpfbuild.fetch.passwords import netrc_file
from ebpfbuild.fetch.tls import Bundle, named_bundles

from .errors import one_line

DEFAULT_INDEX = "https://pypi.org/simple"  # pip's own default


class Settings(NamedTuple):
    """Pip's places to look: `find_links` are folders, files and pages, `indexes` base URLs, none if offline.

    `bundles` are the certificates to trust instead of this machine's, `proxy` is a URL; where it is None, the
    environment's proxies count. `trusted` are hosts, with a port or without, whose certificates aren't asked for;
    `netrc` is a file of passwords.
    """

    find_links: tuple[str, ...]
    indexes: tuple[str, ...]
    bundles: tuple[Bundle, ...] = ()
    proxy: str | None = None
    trusted: tuple[str, ...] = ()
    netrc: str | None = None

    @property
    def spoken_plainly(self) -> set[str]:
        """The hosts, with their ports, that the settings themselves name with http://."""
        places = (*self.find_links, *self.indexes)
        return {netloc(place) for place in places if place.lower().startswith("http://")}

    @property
    def named(self) -> set[str]:
        """The hosts, with their ports, that the settings name."""
        return {netloc(place) for place in (*self.find_links, *self.indexes) if is_remote(place)}


def read_settings(environment: Mapping[str, str], offline: bool = False, machine: Path = Path("/")) -> Settings:
    """Collects pip's settings.

    An environment variable counts before [install], that before [global], a user's file before the machine's. `offline`
    leaves no index and, of `find-links`, what lies on this machine. `machine` is the root that /etc is below.
    """
    configured: dict[str, str] = {}
    for path in _config_files(environment, machine):
        configured.update(_config(path))

    def value(name: str) -> str:
        return environment.get(f"PIP_{name.upper().replace('-', '_')}", configured.get(name, "")).strip()

    offline = offline or value("no-index").lower() in ("1", "true", "yes", "y", "on", "t")
    find_links = tuple(link for link in value("find-links").split() if not (offline and is_remote(link)))
    indexes = () if offline else (value("index-url") or DEFAULT_INDEX, *value("extra-index-url").split())
    bundles = named_bundles({**environment, "PIP_CERT": value("cert")}, "PIP_CERT")
    trusted = tuple(value("trusted-host").lower().split())
    return Settings(find_links, indexes, bundles, value("proxy") or None, trusted, netrc_file(environment))


def _config_files(environment: Mapping[str, str], machine: Path) -> list[Path]:
    """Returns the files that pip reads on Linux, the ones that count more later."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:  # pip's way to say that none counts
        return []
    shared = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [Path(folder, "pip", "pip.conf") for folder in reversed(shared.split(":")) if folder]
    files = [machine / path.relative_to("/") for path in [*files, Path("/etc/pip.conf")] if path.is_absolute()]
    home = environment.get("HOME", "")
    if home:
        own = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
        files += [Path(home, ".pip", "pip.conf"), Path(own, "pip", "pip.conf")]
    return [*files, Path(named)] if named else files


def _config(path: Path) -> dict[str, str]:
    """Reads the settings in one file; none in one that can't be read or parsed: pip will say what is wrong with it."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, ValueError):
        return {}
    sections = [section for section in ("global", "install") if parser.has_section(section)]
    return {name.replace("_", "-"): value for section in sections for name, value in parser.items(section)}


def is_remote(place: str) -> bool:
    """Returns True if a place is a URL of a server, and not a path or a file: URL."""
    return "://" in place and not place.lower().startswith("file:")


def netloc(place: str) -> str:
    """Returns a URL's host and port, without user and password."""
    return place.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()


def local_path(place: str) -> Path:
    """Returns the path that a place of this machine, a path or a file: URL, stands for."""
    if place.lower().startswith("file:"):
        return Path(unquote(place[len("file:") :].removeprefix("//").removeprefix("localhost")))
    return Path(os.path.expanduser(place))


def shown(place: str) -> str:
    """Returns a place as messages may name it: a URL without user, password and query, on one line."""
    return one_line(without_secrets(place) if "://" in place else place)
