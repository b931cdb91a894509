"""Reads users and passwords from a .netrc, for set-up's pip and for a mirror. Needs the standard library alone."""

import netrc
import os
from binascii import b2a_base64
from collections.abc import Mapping

MAX_NETRC_SIZE = 1 << 20  # bytes of a .netrc


def netrc_file(environ: Mapping[str, str]) -> str | None:
    """Returns the file that pip reads: NETRC, else ~/.netrc or ~/_netrc (requests.utils.get_netrc_auth)."""
    home = environ.get("HOME", "")
    files = [environ["NETRC"]] if environ.get("NETRC") else [f"{home}/{name}" for name in (".netrc", "_netrc") if home]
    return next((file for file in files if os.path.isfile(file)), None)


def logins(file: str | None) -> Mapping[str, str]:
    """Returns `user:password` by host, of the entry `default` under that name.

    A file that can't be read or parsed is passed over, as pip does: an error would quote its text, which may be a
    password.
    """
    try:
        if file and os.path.getsize(file) <= MAX_NETRC_SIZE:
            return {host: f"{entry[0]}:{entry[2]}" for host, entry in netrc.netrc(file).hosts.items()}
    except (OSError, ValueError, netrc.NetrcParseError):
        pass
    return {}


def basic(login: str) -> str:
    """Returns the value of an Authorization header for `user:password` (RFC 7617)."""
    return "Basic " + b2a_base64(login.encode(), newline=False).decode()
