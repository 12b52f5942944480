"""TIPC: what it runs, that it passes when all is well and fails when a step is broken.

Most tests run it on stand-ins for train.py and the others, which take no time; the last ones on
the real scripts with ResNet-18 at 64 px. It runs in a copy of the repository's folders.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

REPO = Path(__file__).resolve().parents[2]
TIPC = REPO / "test_tipc"
CONFIG = TIPC / "configs/CSRARes101/train_infer_python.txt"
MODES = ("lite_train_lite_infer", "lite_train_whole_infer", "whole_train_whole_infer", "whole_infer")
LITE = MODES[0]
RUN = f"test_tipc/output/CSRARes101/{LITE}/norm_train_gpus_-1_autocast_null"
ROW = "norm_train_gpus_-1_autocast_null_python_infer_cpu_usemkldnn_True_threads_1_precision_fp32_batchsize_2"
SMALL = {  # lines of the config, counted from 0, that the tests have otherwise
    3: "gpu_list:-1",
    9: "--pretrained:none",
    40: "--use_gpu:False",
    41: "--enable_mkldnn:True",
    42: "--cpu_threads:1",
    43: "--batch_size:2",
    45: "--precision:fp32",
    52: "train_photos:16",
    53: "test_photos:6",
}
STUB = {
    15: "norm_train:stub.py train",
    23: "eval:stub.py val",
    29: "norm_export:stub.py export",
    36: "infer_model:some.pdparams",
    37: "infer_export:stub.py export",
    39: "inference:stub.py infer",
    54: "predict:stub.py predict",
}
STUB_CODE = """
import json, os, pathlib, sys

role, *given = sys.argv[1:]
options = dict(item.removeprefix("--").split("=", 1) for item in given)
with open("calls.jsonl", "a") as calls:
    calls.write(json.dumps([role, options, os.environ.get("CUDA_VISIBLE_DEVICES")]) + "\\n")
print(options.get("say", role).replace("_", " "))
if "exit" in options:
    sys.exit(int(options["exit"]))

def write(path, content):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\\n" for line in content))

if role == "train":
    losses = [float(loss) for loss in options.get("losses", "0.7,0.6").split(",")]
    run = pathlib.Path(options["save_dir"], "resnet101")
    metrics = {"mAP": 0.5, "photos": 6}
    epochs = [{"epoch": n + 1, "loss": loss, "metrics": metrics} for n, loss in enumerate(losses)]
    write(run / "log.jsonl", [{"options": {}}, *epochs])
    write(run / "last.pdparams", [])
elif role == "val":
    write(options["out"] + "/metrics.json", [{"mAP": float(options.get("mAP", 0.5)), "photos": 6}])
elif role == "export":
    write(options["save_dir"] + "/deploy.json", [{}])
else:
    shift = float(options.get("shift", 0))
    scores = [{"path": f"{n}.jpg", "scores": {"a": n / 4 + shift, "b": 0.5}} for n in range(4)]
    write(options["out"], [scores])
"""


# --- running


@pytest.fixture
def house(tmp_path):
    """A folder with test_tipc of its own and the repository's other folders and scripts by link."""
    return make_house(tmp_path / "house")


def make_house(folder):
    folder.mkdir()
    shutil.copytree(
        TIPC, folder / "test_tipc", ignore=shutil.ignore_patterns("data", "output", "__pycache__")
    )
    for name in ("utils", "datasets", "models", *(path.name for path in REPO.glob("*.py"))):
        (folder / name).symlink_to(REPO / name)
    return folder


def write_config(house, changes, name="config.txt"):
    """The project's config with other lines, {position from 0: line}."""
    lines = CONFIG.read_text().splitlines()
    for position, line in {**SMALL, **changes}.items():
        lines[position] = line
    (house / name).write_text("\n".join(lines) + "\n")
    return house / name


def tipc(house, script, *argv, **environment):
    """Run prepare or test_train_inference_python with the Python of the tests."""
    return subprocess.run(
        ["bash", f"test_tipc/{script}.sh", *map(str, argv)],
        cwd=house,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )


def run_stub(house, mode=LITE, changes=(), *argv, **environment):
    """Run TIPC on the stand-ins, as if prepare.sh had run."""
    (house / "stub.py").write_text(STUB_CODE)
    prepared = house / "test_tipc/data/prepared"
    prepared.mkdir(parents=True, exist_ok=True)
    (prepared / "mode").write_text(f"CSRARes101 {mode}\n")
    config = write_config(house, {**STUB, **dict(changes)})
    return tipc(house, "test_train_inference_python", config, mode, *argv, **environment)


def calls_of(house, role=None):
    """What the stand-ins were called with: [(role, options, CUDA_VISIBLE_DEVICES)]."""
    calls = [json.loads(line) for line in (house / "calls.jsonl").read_text().splitlines()]
    return [call for call in calls if role in (None, call[0])]


def results(house, mode=LITE, model_name="CSRARes101"):
    return (house / f"test_tipc/output/{model_name}/{mode}/results_python.log").read_text()


def table(done):
    """{step: (result, reason)} of the printed table."""
    lines = done.stdout.split("\nstep ")[1].splitlines()[1:]
    rows = (re.match(r"(\S+) +(passed|failed|skipped) +\d* *(.*)", line) for line in lines)
    return {row[1]: (row[2], row[3]) for row in rows if row}


# --- the files


def test_the_config_has_the_conventional_lines():
    lines = CONFIG.read_text().splitlines()
    keys = {1: "model_name", 2: "python", 3: "gpu_list", 6: "--total_epoch", 10: "train_model_name"}
    keys |= {14: "trainer", 15: "norm_train", 16: "pact_train", 23: "eval", 29: "norm_export"}
    keys |= {36: "infer_model", 37: "infer_export", 38: "infer_quant", 39: "inference", 40: "--use_gpu"}
    keys |= {41: "--enable_mkldnn", 42: "--cpu_threads", 43: "--batch_size", 44: "--use_tensorrt"}
    keys |= {45: "--precision", 46: "--model_file", 47: "--input_file", 50: "--params_file"}
    assert {number: lines[number].split(":")[0] for number in keys} == keys
    assert lines[0].strip("=") == "train_params"
    assert lines[26].strip("=") == "infer_params"


def test_no_particular_python_or_machine():  # fault 39
    paths = [path for path in TIPC.rglob("*") if path.is_file() and not {"data", "output"} & set(path.parts)]
    assert len(paths) >= 6
    for path in paths:
        assert not re.search(r"python3\.\d|/(tmp|home|root|work)/", path.read_text()), path
    assert "python:python3" in CONFIG.read_text().splitlines()


@pytest.mark.parametrize("name", ["prepare", "test_train_inference_python", "common_func"])
def test_shell_is_sound(name):
    command = ["shellcheck", "-x"] if shutil.which("shellcheck") else ["bash", "-n"]
    done = subprocess.run([*command, f"test_tipc/{name}.sh"], cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


# --- the chain, on stand-ins


def test_all_is_well(house):
    done = run_stub(house)
    assert (done.returncode, done.stderr) == (0, "")
    name = "norm_train_gpus_-1_autocast_null"
    steps = ["", "_loss", "_eval", "_eval_compare", "_predict", "_export"]
    assert table(done) == dict.fromkeys(
        [*(name + step for step in steps), ROW, f"{ROW}_compare"], ("passed", "")
    )
    assert [call[0] for call in calls_of(house)] == ["train", "val", "predict", "export", "infer"]
    log = results(house).splitlines()
    assert len(log) == 8
    assert all(line.startswith(" Run successfully with command - CSRARes101 - ") for line in log)
    assert (
        f"8 passed, 0 failed, 0 skipped; test_tipc/output/CSRARes101/{LITE}/results_python.log" in done.stdout
    )


def test_each_command_gets_the_configs_parameters(house):  # fault 38
    run_stub(house)
    given = {role: options for role, options, _ in calls_of(house)}
    assert given["train"] == {
        "device": "cpu",
        "save_dir": RUN,
        "total_epoch": "3",
        "batch_size": "8",
        "pretrained": "none",
        "img_size": "96",
        "lr": "1e-4",
    }
    checkpoint, photos = f"{RUN}/resnet101/last.pdparams", "test_tipc/data/prepared/infer"
    assert given["val"] == {"load_from": checkpoint, "out": f"{RUN}/eval", "device": "cpu"}
    assert given["export"] == {"model_path": checkpoint, "save_dir": f"{RUN}/deploy"}
    assert given["predict"] == {
        "load_from": checkpoint,
        "img_dir": photos,
        "out": f"{RUN}_predict.json",
        "device": "cpu",
    }
    assert given["infer"] == {
        "use_gpu": "False",
        "enable_mkldnn": "True",
        "cpu_threads": "1",
        "batch_size": "2",
        "precision": "fp32",
        "model_file": f"{RUN}/deploy/model.pdmodel",
        "params_file": f"{RUN}/deploy/model.pdiparams",
        "input_file": photos,
        "out": f"test_tipc/output/CSRARes101/{LITE}/{ROW}.json",
        "enable_benchmark": "True",
    }


def test_the_mode_decides_epochs_and_recipe(house):  # fault 39
    epochs = "--total_epoch:lite_train_lite_infer=2|lite_train_whole_infer=3|whole_train_whole_infer=30"
    for mode, expected in zip(MODES[:3], ("2", "3", "30"), strict=True):
        assert run_stub(house, mode, {6: epochs}).returncode == 0
        _, options, _ = calls_of(house, "train")[-1]
        assert options["total_epoch"] == expected
        assert ("lr" in options) == ("img_size" in options) == mode.startswith("lite")
        assert "Run successfully" in results(house, mode)


def test_every_combination_runs(house):
    changes = {41: "--enable_mkldnn:True|False", 42: "--cpu_threads:1|2", 43: "--batch_size:1|4"}
    assert run_stub(house, LITE, changes).returncode == 0
    names = ("enable_mkldnn", "cpu_threads", "batch_size")
    seen = {tuple(options[name] for name in names) for _, options, _ in calls_of(house, "infer")}
    assert len(seen) == 8


def test_whole_infer_trains_nothing(house):  # fault 39
    done = run_stub(house, "whole_infer", (), "1")
    assert done.returncode == 0
    calls = calls_of(house)
    assert [call[0] for call in calls] == ["predict", "export", "infer"]
    assert calls[1][1]["model_path"] == "some.pdparams"
    assert {call[2] for call in calls} == {"1"}


def test_a_model_that_is_exported_already(house):
    done = run_stub(house, "whole_infer", {36: "infer_model:deploy", 37: "infer_export:null"})
    assert done.returncode == 0
    [(role, options, _)] = calls_of(house)
    assert (role, options["model_file"]) == ("infer", "deploy/model.pdmodel")
    assert [result for result, _ in table(done).values()] == ["passed", "skipped"]


# --- steps that fail


@pytest.mark.parametrize(
    ("line", "step", "skipped"),
    [
        (15, "", ["_loss", "_eval", "_eval_compare", "_predict", "_export", "_infer", "_infer_compare"]),
        (23, "_eval", ["_eval_compare"]),
        (54, "_predict", ["_infer_compare"]),
        (29, "_export", ["_infer", "_infer_compare"]),  # fault 37
        (39, "_infer", ["_infer_compare"]),
    ],
)
def test_a_command_that_fails(house, line, step, skipped):  # fault 37
    done = run_stub(house, LITE, {line: f"{STUB[line]} --exit=3 --say=broken"})
    assert done.returncode == 1
    assert "broken" in done.stdout
    name = "norm_train_gpus_-1_autocast_null"
    rows = {key.replace(ROW, f"{name}_infer").removeprefix(name): row for key, row in table(done).items()}
    assert rows[step] == ("failed", "exit code 3")
    assert [key for key, (result, _) in rows.items() if result == "skipped"] == skipped
    assert all("failed" in rows[key][1] for key in skipped)
    assert re.search(
        r"^ Run failed with command - CSRARes101 - .*stub\.py \w+ --exit=3", results(house), re.M
    )


@pytest.mark.parametrize(
    ("line", "option", "step"),
    [
        (15, "--losses=0.6,0.6", "_loss"),
        (15, "--losses=0.6,nan", "_loss"),
        (15, "--losses=0.6", "_loss"),
        (23, "--mAP=0.501", "_eval_compare"),
        (23, "--mAP=nan", "_eval_compare"),
        (39, "--shift=0.001", "_compare"),
        (39, "--shift=nan", "_compare"),
    ],
)
def test_a_number_that_is_wrong(house, line, option, step):  # fault 37
    done = run_stub(house, LITE, {line: f"{STUB[line]} {option}"})
    assert done.returncode == 1
    failed = [key for key, (result, _) in table(done).items() if result == "failed"]
    assert len(failed) == 1
    assert failed[0].endswith(step)


def test_each_precision_has_its_own_tolerance(house):
    shifted = f"{STUB[39]} --shift=0.02"
    assert run_stub(house, LITE, {39: shifted, 45: "--precision:bf16"}).returncode == 0
    assert run_stub(house, LITE, {39: shifted, 45: "--precision:fp32"}).returncode == 1


# --- what the machine does not have


def test_rows_without_a_gpu_are_skipped(house):  # fault 40
    changes = {3: "gpu_list:-1|0", 40: "--use_gpu:True|False"}
    done = run_stub(house, LITE, changes, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0
    skipped = {key: why for key, (result, why) in table(done).items() if result == "skipped"}
    assert set(skipped.values()) == {"Paddle sees no GPU here"}
    assert len(skipped) == 3
    assert {"norm_train_gpus_0_autocast_null"} < set(skipped)
    assert results(house).count(" Run skipped with command - ") == 3
    assert [options["use_gpu"] for _, options, _ in calls_of(house, "infer")] == ["False"]


def test_nothing_passed_is_no_success(house):  # fault 40
    assert run_stub(house, LITE, {3: "gpu_list:0"}, CUDA_VISIBLE_DEVICES="").returncode == 1
    assert not (house / "calls.jsonl").exists()


def test_rows_with_a_gpu_run(house):
    fake = house / "fake/paddle"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("is_compiled_with_cuda = lambda: True\nfrom . import device\n")
    (fake / "device.py").write_text("class cuda:\n    device_count = staticmethod(lambda: 4)\n")
    changes = {
        3: "gpu_list:3|-1",
        4: "--device:gpu|cpu",
        40: "--use_gpu:True",
        44: "--use_tensorrt:False|True",
    }
    done = run_stub(house, LITE, changes, PYTHONPATH=str(house / "fake"), CUDA_VISIBLE_DEVICES="7")
    assert done.returncode == 0
    assert [(options["device"], gpu) for _, options, gpu in calls_of(house, "train")] == [
        ("gpu", "3"),
        ("cpu", "7"),
    ]
    infer = [(options["use_gpu"], options["use_tensorrt"]) for _, options, _ in calls_of(house, "infer")]
    assert infer == [("True", "False"), ("True", "True")] * 2
    assert all("enable_mkldnn" not in options for _, options, _ in calls_of(house, "infer"))


def test_a_precision_that_the_machine_lacks_is_skipped(house):
    changes = {39: f"{STUB[39]} --say=--precision_bf16_is_not_here:_using_fp32", 45: "--precision:bf16"}
    done = run_stub(house, LITE, changes)
    assert done.returncode == 0
    row = ROW.replace("fp32", "bf16")
    said = "--precision bf16 is not here: using fp32"
    assert (table(done)[row], table(done)[f"{row}_compare"]) == (("skipped", said), ("skipped", said))


# --- mistakes


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["nowhere.txt", LITE], "no config"),
        (["config.txt", "lite_infer"], "unknown mode 'lite_infer'; give one of lite_train_lite_infer"),
        (["config.txt"], "usage: "),
        (["config.txt", "whole_infer"], "run: bash test_tipc/prepare.sh config.txt whole_infer"),
        (["short.txt", LITE], "line 52 must be the title check_params"),
        (["cards.txt", LITE], "gpu_list '0,1' must be -1 (CPU) or the number of one GPU"),  # fault 7
        (["trainer.txt", LITE], "no command for trainer 'pact_train'"),
        (["outside.txt", LITE], "model_name '../../x' must be"),
    ],
)
def test_mistakes_are_told_before_anything_runs(house, argv, complaint):
    run_stub(house)
    write_config(house, {51: ""}, "short.txt")
    write_config(house, {3: "gpu_list:0,1"}, "cards.txt")
    write_config(house, {14: "trainer:pact_train"}, "trainer.txt")
    write_config(house, {1: "model_name:../../x"}, "outside.txt")
    before = (house / "calls.jsonl").read_text()
    done = tipc(house, "test_train_inference_python", *argv)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert (house / "calls.jsonl").read_text() == before


# --- prepare.sh


def snapshot(house):
    """Every file outside test_tipc/data and test_tipc/output, with its bytes."""
    ours = {house / "test_tipc/data/prepared", house / "test_tipc/output"}
    paths = [path for path in house.rglob("*") if path.is_file() and not ours & set(path.parents)]
    return {path: path.read_bytes() for path in paths}


def make_voc(folder, photos=9):
    """A VOCdevkit of black photos: 000001 to 000005 in trainval, the rest in test."""
    voc = folder / "VOC2007"
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (voc / part).mkdir(parents=True)
    ids = [f"{number:06d}" for number in range(1, photos + 1)]
    for photo_id in ids:
        Image.new("RGB", (64, 48)).save(voc / f"JPEGImages/{photo_id}.jpg")
        content = "<annotation><object><name>dog</name></object></annotation>"
        (voc / f"Annotations/{photo_id}.xml").write_text(content)
    for split, members in (("trainval", ids[:5]), ("test", ids[5:])):
        (voc / f"ImageSets/Main/{split}.txt").write_text("\n".join(members) + "\n")
    return folder


def prepared(house):
    """(training records, test records, class names, photos to infer on) that prepare.sh left."""
    folder = house / "test_tipc/data/prepared"
    names = ("trainval_voc07.json", "test_voc07.json", "classes.json")
    train, test, about = (json.loads((folder / "labels" / name).read_text()) for name in names)
    return train, test, about["classes"], sorted(path.name for path in (folder / "infer").iterdir())


def test_pictures_are_drawn_and_nothing_else_is_touched(house):  # fault 14
    (house / "data/voc07").mkdir(parents=True)
    (house / "data/voc07/trainval_voc07.json").write_text("the user's own")
    config = write_config(house, {})
    before = snapshot(house)
    done = tipc(house, "prepare", config, LITE)
    assert (done.returncode, done.stderr) == (0, "")
    train, test, classes, photos = prepared(house)
    assert (len(train), len(test), len(classes)) == (16, 6, 12)
    assert photos == [Path(record["img_path"]).name for record in test]
    assert snapshot(house) == before


def test_the_users_voc_is_taken(house):  # fault 14
    config = write_config(
        house, {52: f"train_photos:{LITE}=2|whole_infer=all", 53: f"test_photos:{LITE}=3|whole_infer=all"}
    )
    voc = make_voc(house / "test_tipc/data/VOCdevkit")
    before = snapshot(house)
    for mode, sizes in ((LITE, (2, 3)), ("whole_infer", (5, 4)), (LITE, (2, 3))):
        done = tipc(house, "prepare", config, mode)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"photos of {voc}" in done.stdout
        train, test, classes, photos = prepared(house)
        assert (len(train), len(test)) == sizes
        assert photos == [Path(record["img_path"]).name for record in test]
        assert len(classes) == 20
    assert snapshot(house) == before


def test_voc_where_the_user_says(house, tmp_path):
    config = write_config(house, {53: "test_photos:2"})
    voc = make_voc(tmp_path / "elsewhere")
    done = tipc(house, "prepare", config, LITE, VOCDEVKIT=str(voc))
    assert (done.returncode, len(prepared(house)[1])) == (0, 2)
    done = tipc(house, "prepare", config, LITE, VOCDEVKIT=str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "not found; unpack VOC 2007" in done.stderr


# --- compare_results.py alone


def compare(tmp_path, expected, found, *argv):
    """compare_results.py on two tables of scores, {path: [scores]}; returns the process."""
    for name, scores in (("expected", expected), ("found", found)):
        rows = [{"path": path, "scores": dict(zip("abc", row, strict=False))} for path, row in scores.items()]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    files = ["--gt_file", tmp_path / "expected.json", "--log_file", tmp_path / "found.json"]
    return subprocess.run(
        [sys.executable, TIPC / "compare_results.py", *files, *argv], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("found", "code", "line"),
    [
        ({"1": [0.1, 0.9], "2": [0.2, 0.80009]}, 0, "passed: 2 photos, largest difference 9.0e-05"),
        ({"2": [0.2, 0.8], "1": [0.1, 0.9]}, 0, "passed: "),
        ({"1": [0.1, 0.9], "2": [0.2, 0.8002]}, 1, "at 2, b: 0.800000 expected, 0.800200 found"),
        ({"1": [0.1, 0.9]}, 1, "failed: 2: no scores"),
        ({"1": [0.1, 0.9], "2": [0.2]}, 1, "failed: 2: other classes"),
        ({"1": [0.1, 0.9], "2": [0.2, 0.8], "3": [0, 0]}, 1, "failed: 3 photos where 2 were expected"),
        ({}, 2, ""),
    ],
)
def test_scores_are_compared(tmp_path, found, code, line):
    done = compare(tmp_path, {"1": [0.1, 0.9], "2": [0.2, 0.8]}, found)
    assert done.returncode == code
    assert line in done.stdout


def test_scores_that_are_the_same_for_all_photos_prove_nothing(tmp_path):
    same = {"1": [0.1, 0.9], "2": [0.1, 0.9]}
    assert "no evidence" in compare(tmp_path, same, same).stdout
    different = {"1": [0.1, 0.9], "2": [0.1, 0.8]}
    assert compare(tmp_path, different, different, "--atol", "0.05").returncode == 0
    assert compare(tmp_path, different, different, "--atol", "0.2").returncode == 1


# --- the real scripts


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """(house, process, files before it) of a whole chain with ResNet-18, data by prepare.sh."""
    house = make_house(tmp_path_factory.mktemp("real") / "house")
    changes = {
        9: "--pretrained:test_tipc/data/prepared/trunk.pdparams",
        10: "train_model_name:resnet18/last.pdparams",
        12: "--img_size:64",
        15: f"{CONFIG.read_text().splitlines()[15]} --model resnet18",
        6: "--total_epoch:4",
        56: "--lr:1e-3",
    }
    config = write_config(house, changes)
    assert tipc(house, "prepare", config, LITE).returncode == 0
    before = snapshot(house)
    yield house, tipc(house, "test_train_inference_python", config, LITE), before
    shutil.rmtree(house)


COPY_CODE = """
import json, pathlib, shutil, sys
options = dict(item.removeprefix("--").split("=", 1) for item in sys.argv[2:])
if sys.argv[1] == "predict":
    shutil.copy("RUN_predict.json", options["out"])
else:
    shutil.copytree("RUN/deploy", options["save_dir"])
    path = pathlib.Path(options["save_dir"], "deploy.json")
    changed = json.loads(options.get("change", "{}"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
"""


@pytest.fixture
def infer_with(real):
    """infer_with(changes): whole_infer with what the real chain exported and predicted, unless changed."""
    house = real[0]
    (house / "copy_real.py").write_text(COPY_CODE.replace("RUN", RUN))
    copied = {37: "infer_export:copy_real.py export", 54: "predict:copy_real.py predict"}

    def run(changes):
        (house / "test_tipc/data/prepared/mode").write_text("CSRARes101 whole_infer\n")
        config = write_config(house, {**copied, **changes}, "broken.txt")
        return tipc(house, "test_train_inference_python", config, "whole_infer")

    return run


def test_the_real_chain_passes(real):
    house, done, before = real
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert {result for result, _ in table(done).values()} == {"passed"}
    assert re.search(
        r"^passed: mAP [\d.]+ of 6 photos by val", (house / f"{RUN}_eval_compare.log").read_text()
    )
    row = house / f"test_tipc/output/CSRARes101/{LITE}/{ROW}_compare.log"
    assert re.search("^passed: 6 photos, largest difference .* \\(allowed 1e-04\\)", row.read_text())
    assert snapshot(house) == before


def test_a_bad_checkpoint_fails(real, infer_with):
    checkpoint = real[0] / RUN / "resnet18/last.pdparams"
    (real[0] / "bad.pdparams").write_bytes(checkpoint.read_bytes()[:100_000])
    real_ones = {number: CONFIG.read_text().splitlines()[number] for number in (37, 54)}
    done = infer_with({36: "infer_model:bad.pdparams", **real_ones})
    assert done.returncode == 1
    assert [result for result, _ in table(done).values()] == ["failed", "failed", "skipped", "skipped"]
    assert "error: " in done.stdout


@pytest.mark.parametrize(
    "change", ['{"img_size":96}', '{"resize":"crop"}', '{"classes":["a","b"],"num_cls":2}']
)
def test_another_deploy_json_fails(infer_with, change):
    done = infer_with({37: f"infer_export:copy_real.py export --change={change}"})
    assert done.returncode == 1
    assert [result for result, _ in table(done).values()].count("failed") == 1


def test_swapped_channels_fail(real, infer_with):  # fault 28
    (real[0] / "infer_wrong.py").write_text(
        f"import sys\nsys.path.insert(0, {str(REPO)!r})\n"
        "import infer\nfrom utils import predictions\nright = predictions.transform\n"
        "predictions.transform = lambda *given: right(*given)[..., ::-1]\n"
        "infer.run_script(infer.main, infer.parse_args)\n"
    )
    done = infer_with({39: "inference:infer_wrong.py"})
    assert done.returncode == 1
    assert [result for result, _ in table(done).values()] == ["passed"] * 3 + ["failed"]
