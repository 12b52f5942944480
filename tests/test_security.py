"""What SECURITY.md promises: no file is run, nothing is written elsewhere, nobody else is asked."""

import ast
import csv
import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from benchmarks.bad_input.odd import odd_data, trained_on
from benchmarks.bad_input.row import call, place
from benchmarks.bad_input.things import checkpoint, data_set, photo, train
from tests.test_repository import CODE
from utils import local_page

REPO = Path(__file__).resolve().parents[1]

# --- what no file of ours calls

DANGEROUS = """
builtins.eval builtins.exec builtins.compile runpy.run_path
pickle.load pickle.loads pickle.Unpickler marshal.load marshal.loads shelve.open joblib.load dill.load
paddle.load torch.load yaml.load yaml.unsafe_load pandas.read_pickle
os.system os.popen os.execv os.execvp os.spawnv os.spawnvp pty.spawn
subprocess.getoutput subprocess.getstatusoutput tempfile.mktemp shutil.unpack_archive
xml.etree.ElementTree.parse xml.etree.ElementTree.fromstring xml.etree.ElementTree.XML
xml.etree.ElementTree.iterparse xml.dom.minidom.parse xml.dom.minidom.parseString xml.sax.parse
""".split()  # noqa: SIM905
ARGUMENTS = {"shell": False, "allow_pickle": False, "weights_only": True}  # the only value that is allowed
METHODS = ("extractall",)
ALLOWED = {  # (file, what): why
    ("utils/prepare/yolo_text.py", "yaml.load"): "by BaseLoader, which makes text, lists and dicts",
    ("benchmarks/fuzz_weights.py", "torch.load"): "torch's own safe reader, as a witness: weights_only=True",
}


def dangers(source):
    """(line, what) of each call in a Python source that is on the lists above."""
    module, names = ast.parse(source), {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {
                alias.asname or alias.name.split(".")[0]: alias.asname and alias.name for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    names = {name: whole or name for name, whole in names.items()}
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        *_, last = parts = ast.unparse(node.func).split(".")
        called = ".".join(
            [names.get(parts[0], parts[0] if parts[1:] else f"builtins.{parts[0]}"), *parts[1:]]
        )
        if called in DANGEROUS or last in METHODS:
            yield node.lineno, called
        for keyword in node.keywords:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else keyword.value
            if keyword.arg in ARGUMENTS and value is not ARGUMENTS[keyword.arg]:
                yield node.lineno, f"{keyword.arg}="


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(REPO)))
def test_no_file_of_ours_runs_what_it_reads(path):
    name = str(path.relative_to(REPO))
    found = [each for each in dangers(path.read_text(encoding="utf-8")) if (name, each[1]) not in ALLOWED]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(file)",
        "from pickle import loads as read\nread(data)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, allow_pickle=flag)",
        "import paddle\npaddle.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import subprocess\nsubprocess.run(line, shell=True)",
        "import os\nos.system(line)",
        "from os import system\nsystem(line)",
        "eval(text)",
        "import xml.etree.ElementTree as ET\nET.parse(path)",
        "import tarfile\ntarfile.open(path).extractall(folder)",
    ],
)
def test_what_is_looked_for_is_found(source):
    assert list(dangers(source))


def test_checkpoints_go_through_the_safe_reader_alone():
    """Python's unpickler is named in two files: the reader, and its part for PyTorch's files."""
    users = [path for path in CODE if "import pickle" in path.read_text(encoding="utf-8")]
    ours = {str(path.relative_to(REPO)) for path in users if "benchmarks" not in path.parts}
    assert ours == {"utils/safe_pickle.py", "utils/torch_file.py"}


# --- where it writes, and whom it asks

WATCHED = """
import os, sys

def watch(event, args):
    if event == "open":
        path, _, flags = args
        written = [path] if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else []
    elif event in ("os.remove", "os.rmdir"):
        written = args[:1] if args[1] == -1 else []  # else by the handle of a folder, one that was opened
    elif event in ("os.mkdir", "os.truncate", "os.chmod"):
        written = args[:1]
    elif event in ("os.rename", "os.link", "os.symlink"):
        written = args[:2]
    elif event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        written = [event]
    else:
        return
    for path in written:
        if isinstance(path, (str, bytes)):
            name = os.fsdecode(path)
            seen.append(name if name == event else os.path.abspath(name))

seen = []
sys.addaudithook(watch)
sys.path.insert(0, os.environ["REPO"])
from benchmarks.bad_input.row import call

for script, *argv in json.loads(sys.stdin.read()):
    seen.clear()
    code, _, errors = call(script, argv)
    print(json.dumps([script, code, errors, seen]))
"""


def test_scripts_write_to_the_folders_named_alone(tmp_path):
    """Without a home, in a folder that stays empty, with the temporary folder empty in the end."""
    inputs, outputs, temporary, here = (
        tmp_path / name for name in ("inputs", "outputs", "temporary", "here")
    )
    for folder in (inputs, temporary, here):
        folder.mkdir()
    with place() as folder:
        data_set(f"{inputs}/data"), checkpoint(f"{inputs}/model.pdparams"), photo(f"{inputs}/photos/a.png")
        assert list(folder.iterdir()) == []
    data, photos, model = f"{inputs}/data", f"{inputs}/photos", ["--load_from", f"{inputs}/model.pdparams"]
    cpu, few = ["--device", "cpu", "--num_workers", "0"], ["--train", "1", "--test", "1", "--workers", "1"]
    runs = [
        ["train", "--dataset", data, *train("--save_dir", f"{outputs}/train")],
        ["val", *model, "--dataset", data, *cpu, "--out", f"{outputs}/val", "--report", f"{outputs}/page"],
        ["predict", *model, "--img_dir", photos, *cpu, "--out", f"{outputs}/scores.csv"],
        ["predict", *model, "--img_dir", photos, *cpu, "--heatmap", f"{outputs}/maps"],
        ["export_model", "--model_path", model[1], "--save_dir", f"{outputs}/exported"],
        ["infer", "--model_file", f"{outputs}/exported/model.json", "--input_file", photos,
         "--out", f"{outputs}/infer.json", "--num_workers", "0"],
        ["utils/convert_weights", model[1], f"{outputs}/model.safetensors"],
        ["utils/prepare/check_dataset", data, "--fix", f"{outputs}/fixed"],
        ["utils/prepare/make_shapes", "--out_dir", f"{outputs}/shapes", *few],
    ]  # fmt: skip
    environment = {**os.environ, "HOME": "/dev/null/home", "TMPDIR": str(temporary), "REPO": str(REPO)}
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    command = [sys.executable, "-B", "-c", f"import json{WATCHED}"]
    done = subprocess.run(
        command,
        input=json.dumps(runs),
        capture_output=True,
        text=True,
        cwd=here,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [line[:3] for line in lines if line[1]] == []
    for script, _, errors, seen in lines:
        assert [line for line in errors.splitlines() if "home" in line or "atplotlib" in line] == []
        roots = (str(outputs), str(temporary), os.devnull)
        assert [path for path in seen if not path.startswith(roots)] == [], script
        assert seen, script  # the watch is awake
    left = {str(path.relative_to(temporary)) for path in temporary.rglob("*")}
    assert left <= {".cache", ".cache/paddle", ".cache/paddle/dataset"}  # Paddle's own, made at its import
    assert list(here.iterdir()) == []


# --- what a spreadsheet would compute


def test_tables_hold_no_formula():
    with place() as folder:
        data = odd_data(folder)
        model = ["--load_from", trained_on(data), "--device", "cpu", "--num_workers", "0"]
        assert call("val", [*model, "--dataset", data, "--report", "out"])[0] == 0
        os.chdir(data)
        model[1] = f"../{model[1]}"
        photos = [name for name in os.listdir() if name.endswith(".png")]
        assert "=1+1.png" in photos
        assert call("predict", [*model, "--img_dir", "./", "--threshold", "0", "--out", "scores.csv"])[0] == 0
        for path in ("scores.csv", "../out/classes.csv"):
            with open(path, encoding="utf-8", newline="") as file:
                cells = [cell for row in csv.reader(file) for cell in row]
            assert any("=1+1" in cell for cell in cells)
            assert [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n"))] == []


# --- the page to play with


def test_the_page_serves_this_machine_alone(monkeypatch):
    asked = {}
    page = SimpleNamespace(
        queue=lambda **_: SimpleNamespace(launch=lambda **settings: asked.update(settings)),
        server=SimpleNamespace(thread=SimpleNamespace(join=lambda: None)),
        close=lambda **_: None,
    )
    middleware, hosts = ModuleType("starlette.middleware"), ModuleType("starlette.middleware.trustedhost")
    middleware.Middleware = lambda kind, **settings: (kind, settings)
    hosts.TrustedHostMiddleware = "TrustedHostMiddleware"
    monkeypatch.setitem(sys.modules, "starlette.middleware", middleware)
    monkeypatch.setitem(sys.modules, "starlette.middleware.trustedhost", hosts)
    gradio = SimpleNamespace(themes=SimpleNamespace(Default=lambda **_: None))
    local_page.serve(gradio, page, 7860, "")
    assert ipaddress.ip_address(asked["server_name"]).is_loopback
    assert asked["share"] is False
    assert asked["max_file_size"] == "20mb"
    (kind, settings), (own, _) = asked["app_kwargs"]["middleware"]
    assert (kind, settings["allowed_hosts"]) == ("TrustedHostMiddleware", ["127.0.0.1", "localhost"])
    assert own is local_page.OwnPagesOnly


def test_no_other_file_opens_a_server():
    opening = {
        path
        for path in CODE
        if any(word in path.read_text(encoding="utf-8") for word in (".launch(", "bind("))
    }
    assert opening == {REPO / "utils/local_page.py"}
