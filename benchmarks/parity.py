"""How close is this code to the original PyTorch code? Every check, its tolerance, the largest difference.

python benchmarks/parity.py [GOLDEN] [OUT.md]     (half a minute)

GOLDEN holds the figures of the original (default: ../shared/golden; without it only the
checks on tests/golden run). The checks are in parity_checks.py. Ends with 1 when one fails.
"""

import platform
import sys
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.parity_checks import CHECKS  # noqa: E402
from utils.checkpoint import versions  # noqa: E402
from utils.device import choose_device  # noqa: E402

SHARED = ROOT.parent / "shared/golden"


def report(rows):
    """The page docs/results/parity.md as text."""
    used = ", ".join(f"{name} {value}" for name, value in versions().items() if name != "git")
    lines = [
        "# Parity with the original PyTorch code",
        "",
        f"`python benchmarks/parity.py`, {date.today()}, {platform.machine()} CPU, float32, n = 1 run "
        f"(deterministic); {used}.",
        "The original: commit `c8480d12`, torch 2.13.0 on a CPU. Largest absolute difference in each check:",
        "",
        "| check | tolerance | measured |",
        "| --- | --- | --- |",
        *(f"| {name} | {tolerance:.0e} | {measured:.1e} |" for name, tolerance, measured in rows),
    ]
    return "\n".join(lines) + "\n"


def main(golden, out):
    choose_device("cpu", 0)
    complete = golden.is_dir()
    if not complete:
        print(f"{golden} is absent: checks on tests/golden only", file=sys.stderr)
    with redirect_stdout(sys.stderr):  # what loading and training say
        rows = [row for check, more in CHECKS.values() if complete or not more for row in check(golden)]
    text = report(rows)
    print(text, end="")
    if out:
        Path(out).write_text(text, encoding="utf-8")
    return int(any(measured > tolerance for _, tolerance, measured in rows))


if __name__ == "__main__":
    given = sys.argv[1:] + [None, None]
    sys.exit(main(Path(given[0] or SHARED), given[1]))
