"""`python -m bpfloader probe` and `python -m bpfloader inspect FILE`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .errors import BpfError


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 where a kind that was asked for can't be had, 2 for what can't be read or understood."""
    options = _parser().parse_args(arguments)
    try:
        text, status = options.run(options)
        print(text)
        sys.stdout.flush()
    except BrokenPipeError:  # as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (BpfError, OSError, ValueError) as error:
        print(f"bpfloader: {error}", file=sys.stderr)
        return 2
    return int(status)


def _parser() -> argparse.ArgumentParser:
    about = "Asks the kernel what it can do, and BPF objects what they want of it."
    parser = argparse.ArgumentParser("python -m bpfloader", description=about)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    probe = verbs.add_parser("probe", help="what this kernel can do")
    probe.add_argument("kind", nargs="*", help="only these ways to attach, as SEC() spells them; exit status 1 if not")
    probe.add_argument("--json", action="store_true", help="sorted JSON instead of a table")
    probe.set_defaults(run=_probe)
    return parser


def _probe(options: argparse.Namespace) -> tuple[str, int]:
    from .kernelprobe import Report
    from .probetext import as_json, kinds_text, report_text

    if options.kind:
        text, all_there = kinds_text(options.kind, options.json)
        return text, 0 if all_there else 1
    report = Report()
    return as_json(report.as_dict()) if options.json else report_text(report), 0


if __name__ == "__main__":
    sys.exit(main())
