"""Maps memory of the kernel's into this process, where a refusal is an error of the map's."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from ..errors import MapError, errno_text

FIXES = {
    errno.EPERM: "user space may only read it, as it is frozen: leave out the freeze",
    errno.EACCES: "user space may not do that, by BPF_F_RDONLY or BPF_F_WRONLY of its map_flags: leave that out",
    errno.EINVAL: "leave BPF_F_RDONLY and BPF_F_WRONLY out of its map_flags",
}


@contextlib.contextmanager
def mapping(what: str) -> Iterator[None]:
    """Raises MapError for an OSError of mmap in the `with`; `what` is mapped there."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        fix = FIXES.get(number, "free memory, or let this process have more: ulimit -v, ulimit -l")
        raise MapError(f"can't map {what} ({errno_text(number)})", fix=fix, errno=number) from None
