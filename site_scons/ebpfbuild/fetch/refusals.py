"""Says why a pinned artifact can't be had from anywhere, and what to do about it."""

from collections.abc import Sequence

from .. import files
from ..errors import FetchError, OfflineError, PinError
from ..escape import without_secrets
from ..pins.pins import ArtifactSource, HeaderPin, TreePin
from .newest import newest_package
from .options import FetchOptions
from .places import below_mirror


def is_gone(source: ArtifactSource) -> bool:
    """Returns True if a file of the project's own isn't there."""
    return source.file is None or files.is_gone(source.file)


def unreachable(
    pin: HeaderPin | TreePin, source: ArtifactSource, options: FetchOptions, reasons: Sequence[str]
) -> FetchError:
    """Returns the error for a pin that none of its sources gave: `source` is the one to name, `reasons` one of each."""
    details = tuple(dict.fromkeys(reasons))
    if source.in_project:
        fix = f"put {source.shown} back"
        if isinstance(pin, HeaderPin) and not source.inside and is_gone(source):
            made = f"make it: {pin.recipe} > {source.shown}"
            fix = "name a kernel's file that is there, or host, the kernel that runs" if pin.given else made
        return FetchError(f"{pin.title} can't be had", where=source.where, fix=fix, details=details)
    mirror = f"MIRROR=FOLDER with {without_secrets(below_mirror(source))} in it"
    if options.offline:
        what = f"{pin.title} is not in the cache {options.cache}, and --offline connects to nothing"
        fix = f"run once without --offline, or give {mirror}, or set EBPF_CACHE to a cache that has it"
        return OfflineError(what, where=source.where, fix=fix, details=details)
    refused = ", and RELEASE=1 takes no alternate" if options.release and getattr(pin, "alternates", False) else ""
    if source.kind == "pool" and reasons and all("HTTP 404" in reason for reason in reasons if "://" in reason):
        newest = newest_package(source.location, options.machine)
        fix = f"pin the newest, {newest}" if newest else "pin the one that came after it"
        what = f"{pin.title} is gone from the pool of Debian's archives, which drops what is replaced"
        fix += f", or give {mirror}; snapshot.debian.org keeps the old ones"
        return FetchError(what, where=source.where, fix=fix, details=details)
    what = f"no source of {pin.title} can be reached{refused}"
    return FetchError(what, where=source.where, fix=f"check the network, or give {mirror}", details=details)


def incomplete_pin(pin: HeaderPin | TreePin, error: FetchError) -> PinError:
    """Returns the error for a pin without sha256, which can't be computed since no source was had either."""
    what = f"{pin.title} has no sha256, and its bytes can't be had to compute one"
    return PinError(what, where=pin.where, fix="add the sha256, or make a source reachable once", details=error.details)
