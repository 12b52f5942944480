"""The repository as a whole: what it asks for, and that each fact has one home."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
NOT_OURS = {"data", "checkpoint", "output", "demo", "Dataset"}  # what runs write
SOURCES = sorted(
    path
    for path in REPO.rglob("*.py")
    if not any(part.startswith(".") or part in NOT_OURS for part in path.relative_to(REPO).parts)
)
CODE = [path for path in SOURCES if path.relative_to(REPO).parts[0] != "tests"]
TEXTS = [
    *SOURCES,
    *(
        path
        for pattern in ("*.md", "*.txt", "*.toml", "Makefile", ".ci/*", "recipes/*", "docs/**/*.md")
        for path in REPO.glob(pattern)
        if path.is_file()
    ),
]
IMPORT_OF = {"paddlepaddle": "paddle", "Pillow": "PIL", "scikit-learn": "sklearn"}
NEEDED_BY_PADDLE = {"setuptools"}
COMMANDS = {"pytest", "ruff"}  # run, not imported


def requirements(path):
    """The names that a requirements file asks for."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return {re.match(r"[A-Za-z0-9_-]+", line)[0] for line in lines if line and not line.startswith("-")}


def imported(paths):
    """Modules outside Python and this repository that the files import."""
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module)
    ours = {path.name.removesuffix(".py") for path in REPO.iterdir()}
    return {name.split(".")[0] for name in found} - set(sys.stdlib_module_names) - ours


def files_with(pattern, paths=CODE):
    return [
        str(path.relative_to(REPO)) for path in paths if re.search(pattern, path.read_text(encoding="utf-8"))
    ]


# --- requirements (fault 41)


def test_requirements_name_what_is_needed():
    names = requirements(REPO / "requirements.txt")
    assert {"paddlepaddle", "Pillow", "numpy", "tqdm", "defusedxml"} <= names
    assert not names & {"json", "xml", "os", "re"}
    assert not names & set(sys.stdlib_module_names)
    assert "paddlepaddle>=2.6.2" in (REPO / "requirements.txt").read_text()


def test_requirements_name_nothing_else():
    names = requirements(REPO / "requirements.txt") - NEEDED_BY_PADDLE
    assert {IMPORT_OF.get(name, name) for name in names} <= imported(CODE)


def test_every_import_is_in_a_requirements_file():
    named = set()
    for path in REPO.glob("requirements*.txt"):
        named |= {IMPORT_OF.get(name, name) for name in requirements(path)}
    assert imported(CODE) <= named
    assert imported(SOURCES) <= named


def test_the_cpu_and_the_gpu_need_the_same():
    gpu = {name.replace("-gpu", "") for name in requirements(REPO / "requirements-gpu.txt")}
    assert gpu == requirements(REPO / "requirements.txt")


# --- one home for each fact (fault 36)


def test_class_lists_have_one_home():
    for name in ("tvmonitor", "toothbrush", "faceMask"):
        assert files_with(name) == ["datasets/spec.py"]


def test_temperatures_have_one_home():
    assert files_with(r"\bTEMPERATURES\b.*=\s*[\[{(]") == ["models/csra.py"]
    assert files_with(r"1, 2, 4, (99|MAX)\b") == ["models/csra.py"]


def test_threshold_has_one_home():
    assert files_with(r"(?i)threshold.*\b0?\.5\b") == ["utils/evaluation/metrics.py"]


def test_size_has_one_home():
    homes = [
        str(path.relative_to(REPO))
        for path in CODE
        if path.parent.name != "benchmarks"
        and any(
            isinstance(node, ast.Constant) and node.value == 448
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]
    assert homes == ["utils/options.py"]


# --- the rooms


def test_labels_and_figures_need_no_paddle():
    """utils/prepare and utils/evaluation work on files and arrays alone."""
    modules = (
        "utils.prepare.prepare_voc, utils.prepare.prepare_coco, utils.prepare.prepare_wider, "
        "utils.prepare.prepare_custom, "
        "utils.prepare.download, utils.prepare.check_dataset, "
        "utils.prepare.make_shapes, utils.evaluation.report, utils.safe_pickle"
    )
    code = f"import sys, {modules}; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 0


# --- no particular machine


def test_no_path_of_a_particular_machine():
    pattern = r"(?<![\w.])/(home|root|work|Users|mnt|workspace)/\w|\b[C-E]:\\\\?\w"
    assert files_with(pattern, TEXTS) == []


def test_no_particular_python():  # fault 39
    assert files_with(r"python3\.\d+\b(?!\s+to\b)", CODE) == []


# --- both languages say the same


README_PARTS = {
    "headings": lambda text: re.findall(r"^(##+) ", text, re.MULTILINE),
    "commands": lambda text: [
        line.split("  #")[0].rstrip()
        for block in re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ],
    "options": lambda text: set(re.findall(r"--[a-z_0-9]+", text)),
    "scripts": lambda text: set(re.findall(r"\b\w+\.py\b", text)),
    "links": lambda text: set(re.findall(r"\]\(([^)]+)\)", text)) - {"README.md", "README_CN.md"},
    "rows of tables": lambda text: [line.count("|") for line in text.splitlines() if line.startswith("|")],
}


@pytest.mark.parametrize("part", README_PARTS)
def test_the_readmes_are_in_step(part):
    english, chinese = (
        README_PARTS[part]((REPO / name).read_text(encoding="utf-8"))
        for name in ("README.md", "README_CN.md")
    )
    assert english
    assert english == chinese


# --- the tests themselves


def test_test_files_have_different_names():
    """Without packages among the tests, pytest cannot tell two files of one name apart."""
    names = [path.name for path in SOURCES if path.name.startswith("test_")]
    assert len(names) == len(set(names))
    assert not list((REPO / "tests").rglob("__init__.py"))
