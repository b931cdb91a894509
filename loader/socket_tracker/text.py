"""Formats values for people, and fits text into a number of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union
from unicodedata import combining, east_asian_width

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    Address = Union[IPv4Address, IPv6Address]

ICMP = (1, 58)


def endpoint(address: Address, port: int, protocol: int) -> str:
    """Returns an address, with its port where the protocol has ports (RFC 3986's brackets around IPv6)."""
    if protocol in ICMP:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def sanitized(text: str) -> str:
    """Replaces control characters by ?: what a process calls itself can't move the cursor."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in text)


def size(count: float) -> str:
    """Formats a number of bytes in at most 7 columns: 999B, 1.5kB."""
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while count >= 999.95 and unit != "TB":
        count, unit = count / 1000, next(units)
    return f"{count:.0f}{unit}" if unit == "B" else f"{count:.1f}{unit}"


def duration(ns: int) -> str:
    """Formats a time in at most 7 columns for less than 100 days: 0.05ms, 1.2s, 3m20s, 5h07m, 2d03h."""
    ms = ns / 1e6
    if ms < 1000:
        return f"{ms:.1f}ms" if ms >= 1 else f"{ms:.2f}ms"
    seconds = int(ms / 1000)
    if seconds < 60:
        return f"{ms / 1000:.1f}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    hours = seconds // 3600
    return f"{hours}h{seconds // 60 % 60:02}m" if hours < 24 else f"{hours // 24}d{hours % 24:02}h"


def columns(text: str) -> int:
    """Returns the number of columns that a terminal takes for the text (Unicode Standard Annex 11)."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def fitted(text: str, width: int, right: bool = False) -> str:
    """Returns the text in exactly so many columns. Cuts the middle out of a long one, with a `~`: a port shows."""
    if columns(text) > width:
        tail = _cut(text[::-1], (width - 1) // 2)[::-1]
        text = f"{_cut(text, width - 1 - columns(tail))}~{tail}" if width else ""
    space = " " * (width - columns(text))
    return space + text if right else text + space


def _cut(text: str, width: int) -> str:
    """Returns the start of a text that takes no more than so many columns."""
    if text.isascii():
        return text[:width]
    while columns(text) > width:
        text = text[:-1]
    return text
