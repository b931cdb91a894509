"""Command line: `python -m bpfloader probe`, `inspect FILE`, `verify FILE`, `ps` and `detach`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from .errors import BpfError
from .text import printable

MAX_SECONDS = 86_400  # that `ps` counts


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 if a requested kind is unsupported or a program is refused, 2 where one got dearer.

    2 as well for a file or an argument that can't be read.
    """
    _prepare_streams()
    options = _parser().parse_args(arguments)
    try:
        output: Output = options.run(options)
        print("\n".join(map(printable, output.text.split("\n"))))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (BpfError, OSError, ValueError) as error:
        shown = str(error) if isinstance(error, BpfError) else printable(str(error))
        print(f"bpfloader: {shown}", file=sys.stderr)
        return 2
    return output.status


def _prepare_streams() -> None:
    """Puts /dev/null where the caller closed a stream, and shows what a stream's encoding lacks as escapes."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # It takes the lowest number that is free, which no program's descriptor should get.
            setattr(sys, name, open(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False))
        elif hasattr(getattr(sys, name), "reconfigure"):  # what a test puts there may have none
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    about = "Asks the kernel what it can do and what it runs, and BPF objects what they want of it."
    parser = argparse.ArgumentParser(f"python -m {__package__}", description=about)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    probe = verbs.add_parser("probe", help="what this kernel can do")
    probe.add_argument("kind", nargs="*", help="only these ways to attach, as SEC() spells them; exit status 1 if not")
    probe.add_argument("--json", action="store_true", help="sorted JSON instead of a table")
    probe.set_defaults(run=_probe)
    inspect = verbs.add_parser("inspect", help="what a BPF object, a wheel or a tar of objects holds and needs")
    inspect.add_argument("file", help="a .bpf.o, a .whl or a .tar")
    inspect.add_argument("--json", action="store_true", help="sorted JSON instead of a table")
    inspect.add_argument("--type", action="append", default=[], metavar="NAME", help="the C text of a type; repeatable")
    inspect.add_argument("--arch", default="", help="of a package: the object to show, this machine's without it")
    inspect.add_argument("--no-kernel", action="store_true", help="don't ask this kernel whether it takes the object")
    inspect.set_defaults(run=_inspect)
    verify = verbs.add_parser("verify", help="loads each program by itself: what it takes of the verifier, as veristat")
    verify.add_argument("files", nargs="*", metavar="FILE|MODULE", help="a .bpf.o, .whl or .tar; a module of skeletons")
    verify.add_argument("--program", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    verify.add_argument("--compare", default="", metavar="BASE", help="a file that --record wrote; status 2 if dearer")
    verify.add_argument("--record", default="", metavar="BASE", help="write the figures to a file, for --compare")
    verify.add_argument("--limit", default="20%", help="with --compare: how much dearer a program may be (%(default)s)")
    verify.add_argument("--measured", action="append", default=[], metavar="JSON", help="what --json printed elsewhere")
    verify.add_argument("--lines", type=int, default=0, metavar="N", help="the N source lines that it visits most")
    verify.add_argument("--json", action="store_true", help="sorted JSON instead of a table")
    verify.add_argument("-v", "--verbose", action="store_true", help="the whole log of each program as well")
    verify.set_defaults(run=_verify)
    ps = verbs.add_parser(
        "ps", help="the programs, maps and links of the system, who holds them, where they are attached"
    )
    ps.add_argument("--seconds", type=float, default=0, metavar="S", help="count runs and their time for S seconds")
    ps.add_argument("--json", action="store_true", help="sorted JSON instead of tables")
    ps.set_defaults(run=_ps)
    detach = verbs.add_parser("detach", help="lists what is attached and pinned, takes away what is named")
    detach.add_argument("--xdp", action="append", default=[], metavar="INTERFACE", help="take its XDP programs away")
    detach.add_argument("--tc", action="append", default=[], metavar="INTERFACE", help="take its filters and tcx away")
    detach.add_argument("--program", action="append", default=[], metavar="NAME", help="only this one, by name or id")
    detach.add_argument("--pin", action="append", default=[], metavar="PATH", help="remove a pin of a BPF file system")
    detach.set_defaults(run=_detach)
    return parser


class Output(NamedTuple):
    """The text that a verb prints, and its exit status."""

    text: str
    status: int = 0


def _probe(options: argparse.Namespace) -> Output:
    """Raises ValueError for an unknown kind."""
    from .features.attach import attach_kind
    from .features.report import Report
    from .features.text import as_json, kinds_text, report_text

    if options.kind:
        kinds = [attach_kind(name) for name in options.kind]
        return Output(kinds_text(kinds, options.json), 0 if all(kinds) else 1)
    report = Report()
    return Output(as_json(report.as_dict()) if options.json else report_text(report))


def _inspect(options: argparse.Namespace) -> Output:
    from .features.text import as_json
    from .inspect.report import inspect
    from .inspect.text import inspection_text

    found = inspect(options.file, options.type, not options.no_kernel)
    return Output(as_json(found) if options.json else inspection_text(found, options.arch))


def _verify(options: argparse.Namespace) -> Output:
    from .verifier.command import Request, answer

    asked = Request(
        files=options.files,
        programs=options.program,
        lines=max(0, options.lines),
        log=options.verbose,
        compare=options.compare,
        record=options.record,
        limit=options.limit,
        json=options.json,
        measured=options.measured,
    )
    return Output(*answer(asked))


def _ps(options: argparse.Namespace) -> Output:
    from .features.text import as_json
    from .system.snapshot import Snapshot
    from .system.text import as_dict, counted, snapshot_text

    if not 0 <= options.seconds <= MAX_SECONDS:
        raise ValueError(f"--seconds {options.seconds:g}: give a number up to {MAX_SECONDS}")
    runs = counted(options.seconds) if options.seconds else {}
    found = Snapshot()
    return Output(as_json(as_dict(found, runs)) if options.json else snapshot_text(found, runs, options.seconds))


def _detach(options: argparse.Namespace) -> Output:
    from .detach.command import Selection, listing, take_away

    if options.program and not (options.xdp or options.tc):
        raise ValueError("--program chooses among those of an interface: name it with --xdp or --tc")
    if options.xdp or options.tc or options.pin:
        return Output(take_away(Selection(options.xdp, options.tc, options.pin, options.program)))
    return Output(listing())


if __name__ == "__main__":
    sys.exit(main())
