"""Tracefs: the folders in which libbpf looks for it, and how to mount it."""

from __future__ import annotations

from ..errors import Explanation

TRACING = ("/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events")
NO_TRACEFS = Explanation(
    "tracefs, where libbpf finds tracepoints, is not mounted", "mount -t tracefs tracefs /sys/kernel/tracing"
)
