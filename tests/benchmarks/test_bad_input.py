"""Every row of docs/errors.md: one line, the exit code, and nothing written."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bad_input.row import ROWS, changes, place, run_row, tree
from benchmarks.errors import markdown

REPO = Path(__file__).resolve().parents[2]
IN_A_PROCESS = (
    "photos-predict-none",
    "labels-train-wrong_length",
    "options-infer-one_dash_b",
    "annotations-prepare_voc-xml_no_name",
    "checkpoints-convert_weights-convert_loop",
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row):
    if row.absent():
        pytest.skip(f"needs {', '.join(row.absent())}")
    assert run_row(row).problems(row) == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.name in IN_A_PROCESS], ids=lambda row: row.name)
def test_row_as_the_shell_sees_it(row):
    with place() as folder:
        command = [sys.executable, REPO / f"{row.script}.py", *row.make(folder)]
        before = tree(folder)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (2, f"error: {row.says}\n")
        assert changes(before, tree(folder)) == []


def test_there_are_enough_and_no_two_of_a_name():
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
    assert sum(row.code > 0 for row in ROWS) >= 60
    places = [*REPO.glob("*.py"), *(REPO / "utils").glob("*.py"), *(REPO / "utils/prepare").glob("*.py")]
    scripts = {path.stem for path in places if "\n    run_script(main" in path.read_text(encoding="utf-8")}
    assert scripts <= {row.script.split("/")[-1] for row in ROWS}


def test_the_document_is_what_the_script_prints():
    said = (REPO / "docs/errors.md").read_text(encoding="utf-8")
    assert said == markdown(ROWS), "python benchmarks/errors.py --write docs/errors.md"
