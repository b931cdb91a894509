"""Finds the proxy that the environment names for a URL. Needs the standard library alone: set-up's pip takes it, too.

https_proxy, http_proxy, all_proxy and no_proxy are read as curl and requests read them (curl(1), ENVIRONMENT); no_proxy
also takes networks such as 10.0.0.0/8, as requests does.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from ..escape import without_secrets


class Proxy(NamedTuple):
    """A proxy's URL, which may hold a password, and the variable or option that names it."""

    url: str
    variable: str

    @property
    def shown(self) -> str:
        """The proxy as messages name it."""
        return f"{without_secrets(self.url)} ({self.variable})"

    @property
    def is_socks(self) -> bool:
        """True if it speaks SOCKS and not HTTP."""
        return self.url.lower().startswith("socks")

    @property
    def usable(self) -> bool:
        """True if the URL is a proxy's."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            return False
        return bool(re.fullmatch(r"https?|socks[45][ah]?", parts.scheme)) and bool(parts.hostname) and port != 0


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Returns the proxy for a URL, or None if it is to be reached without one. A proxy without a scheme speaks HTTP."""
    parts = urlsplit(url)
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if environ.get(variable):
                if _bypassed(
                    parts.hostname or "", parts.port, environ.get("no_proxy") or environ.get("NO_PROXY") or ""
                ):
                    return None
                return named_proxy(environ[variable], variable)
    return None


def named_proxy(url: str, variable: str) -> Proxy:
    """Returns the proxy that a variable or an option names."""
    url = url.strip()
    return Proxy(url if "://" in url else f"http://{url}", variable)


def _bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    """Returns True if `no_proxy` names a host.

    Its entries are names, which stand for all below them, addresses and networks, each with a port or without, and `*`.
    """
    for entry in filter(None, (word.strip().lower() for word in no_proxy.split(","))):
        if entry == "*" or _in_network(host, entry):
            return True
        name, _, wanted = entry.rpartition(":") if re.search(r"[^:]:\d+$", entry) else (entry, "", "")
        name = name.strip("[]").lstrip("*").lstrip(".")
        if (not wanted or wanted == str(port)) and (host == name or host.endswith(f".{name}")):
            return True
    return False


def _in_network(host: str, entry: str) -> bool:
    try:
        return "/" in entry and ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
