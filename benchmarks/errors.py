"""Run every bad input of benchmarks/bad_input and print docs/errors.md: what a user sees.

python benchmarks/errors.py                             (a minute)
python benchmarks/errors.py --write docs/errors.md

Ends with 1, and writes nothing, when a script did anything else than its row says. A row is a test of
tests/benchmarks/test_bad_input.py too.
"""

import importlib
import sys
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bad_input.row import ROWS, run_row  # noqa: E402
from utils.files import write_text  # noqa: E402
from utils.options import Parser  # noqa: E402

TOPICS = (
    "options",
    "photos",
    "labels",
    "checkpoints",
    "deployed",
    "annotations",
    "own_data",
    "outputs",
    "made",
    "machine",
    "odd",
)
for topic in TOPICS:
    importlib.import_module(f"benchmarks.bad_input.{topic}")  # adds its rows

HEAD = """# What goes wrong, and what one sees

A user's mistake is one line on standard error and exit code 2; nothing was written, changed or left behind.
A photo that `predict.py` and `infer.py` cannot read is told in one line, too; they go on with the others and
end with exit code 1. A traceback is a fault of ours: please report it.

`python benchmarks/errors.py --write docs/errors.md` runs every row and writes this file; each row is a test,
too. `...` stands for what differs between machines and versions. A full disk is a limit on the size of files
(`RLIMIT_FSIZE`) here, which fails in the same places.
"""


def markdown(rows):
    """The text of docs/errors.md."""
    rows = sorted(rows, key=lambda row: TOPICS.index(row.name.split("-")[0]))  # imported in whatever order
    wrong = sum(row.code > 0 for row in rows)
    parts = [HEAD, f"{wrong} bad inputs, and {len(rows) - wrong} that are only odd."]
    for topic, its in groupby(rows, lambda row: row.topic):
        its = list(its)
        last = "after `error: `" if its[0].code else "what happens"
        parts += [f"\n## {topic}\n", f"| script | input | {last} |", "| --- | --- | --- |", *map(_line, its)]
    return "\n".join(parts) + "\n"


def _line(row):
    says = f"`{_cell(row.says)}`" if row.code else _cell(row.says)
    return f"| {row.script.split('/')[-1]} | {_cell(row.what)} | {says} |"


def _cell(text):
    return text.replace("|", "\\|")


def main():
    parser = Parser(__doc__)
    parser.add_argument("--write", metavar="FILE", help="write it to this file")
    args = parser.parse_args()
    wrong = 0
    for row in ROWS:
        if row.absent():
            print(f"{row.name}: not run, needs {', '.join(row.absent())}", file=sys.stderr)
            continue
        problems = run_row(row).problems(row)
        if problems:
            print(f"{row.name}: {'; '.join(problems)}", file=sys.stderr)
        wrong += bool(problems)
    if wrong:
        sys.exit(1)
    if args.write:
        write_text(args.write, markdown(ROWS))
    else:
        print(markdown(ROWS), end="")


if __name__ == "__main__":
    main()
