"""Makes text fit to be printed: escapes what could steer a terminal, leaves out what may be a password."""

import re

# The signs that begin a query or a fragment or end a user's name and password, also percent-encoded, once or more
# often, and those that NFKC makes of them: a refused URL is printed, and nobody knows which of them its writer had in
# mind.
_AT = r"@|\uff20|\ufe6b|%(?:25)*40"
_QUERY = r"[?#\uff1f\ufe56\uff03\ufe5f]|%(?:25)*(?:3f|23)"
_PORT = r"(://[^/:\[]*:)(?!\d*(?:/|$))[^/]*"  # one that is no number: user:password without its host
_SCHEME = r"\s*(?:https?|ftps?|file):[/\\]*"  # any other word may be a user's name


def printable(text: str, kept: str = "") -> str:
    """Escapes what doesn't print as itself, as `\\x1b`, but for the characters `kept`.

    Escapes controls (C0, C1, DEL), line ends, formats such as a change of direction (Unicode's Cf), and lone
    surrogates.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in kept else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def printable_lines(text: str) -> str:
    """Returns the same of a text of several lines, such as a compiler's diagnostics: their ends and tabs stay."""
    return "\n".join(printable(line, kept="\t") for line in text.split("\n"))


def without_secrets(url: str) -> str:
    """Leaves user name, password, query and fragment out of a URL: `https://…@host/path?…`.

    The text may be what was meant to be a URL. The part before the last @ goes, wherever that stands: a password may
    hold a slash. Behind a ?, nobody knows whether an @ ends a password or is part of a token: then all goes but the
    scheme.
    """
    *_, at = [None, *re.finditer(_AT, url, re.IGNORECASE)]
    query = re.search(_QUERY, url, re.IGNORECASE)
    if at:
        scheme = re.match(_SCHEME, url, re.IGNORECASE)
        start = f"{scheme[0].strip() if scheme and scheme.end() <= at.start() else ''}…"
        if query and query.start() < at.start():
            return start
        url = f"{start}@{url[at.end() :]}"
        query = re.search(_QUERY, url, re.IGNORECASE)
    return re.sub(_PORT, r"\1…", f"{url[: query.start()]}?…" if query else url)
