"""Opens the cache that CACHE= names: a folder, or a server that is logged in to by files alone."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ..fetch.mirror import checked_url, login_to, named_folder
from .cache import StepCache
from .folder import FolderPlace

HEADER_VARIABLE = "EBPF_STEP_CACHE_HEADER"
CERTIFICATE_VARIABLE = "EBPF_STEP_CACHE_CERT"


def open_cache(
    named: str, root: Path, environ: Mapping[str, str], notice: Callable[[str], None], read_only: bool
) -> StepCache:
    """Returns the cache that CACHE= names; relative paths are below `root`.

    Two variables may name files: one with a header that logs in, as EBPF_MIRROR_HEADER does, and one, PEM, with the
    client's certificate and key. Without the first, .netrc counts. Raises FetchError for what names no cache.
    """
    folder = named_folder(named)
    if folder is not None:
        return _folder_cache(root / folder, notice, read_only)
    from ..fetch.http_get import require_requests  # a folder needs none of it
    from .server import ServerPlace

    url = checked_server(named)
    require_requests(url)
    certificate = environ.get(CERTIFICATE_VARIABLE)
    login = login_to(url, environ, root, HEADER_VARIABLE)
    return StepCache(ServerPlace(url, login, str(root / certificate) if certificate else ""), notice, read_only)


def _folder_cache(folder: Path, notice: Callable[[str], None], read_only: bool) -> StepCache:
    """Returns the cache in a folder; says so where that wasn't there, for its name may be misspelt."""
    cache = StepCache(FolderPlace(folder, read_only), notice, read_only)
    if os.path.isdir(folder):
        return cache
    if read_only:
        told = "isn't there, and CACHE_READONLY=1 makes none: nothing comes from it; correct CACHE="
        cache.leave_out("isn't there")
    else:
        told = "is a new folder: this build is the first to use it"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            told = f"can't be made ({error.strerror}): this build uses no cache; correct CACHE="
            cache.leave_out("can't be made")
    notice(f"CACHE: {folder} {told}")
    return cache


def checked_server(named: str) -> str:
    """Returns the base URL that CACHE= names. Raises FetchError for what is none, or holds a password."""
    return checked_url(named, "CACHE", HEADER_VARIABLE)


def is_on_network(named: str) -> bool:
    """Returns True if CACHE= names a server."""
    return named_folder(named) is None
