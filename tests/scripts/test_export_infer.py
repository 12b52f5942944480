"""export_model and infer as a user runs them: a small model, real photos and odd ones."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

import export_model
import infer
import predict
from models import build_model
from utils import engines, predictions
from utils.checkpoint import save_checkpoint
from utils.errors import run_script
from utils.export import check_packages, check_photos

REPO = Path(__file__).resolve().parents[2]
CLASSES = ["cat", "dog", "tree"]
EXPORTS = {"paddle": "paddle", "onnx": "onnx", "openvino": "openvino"}
RUNS = [  # (exported format, options)
    ("paddle", []),
    ("paddle", ["--enable_mkldnn", "False"]),
    ("paddle", ["--ir_optim", "False", "--cpu_threads", "1"]),
    ("onnx", ["--engine", "onnxruntime"]),
    ("onnx", ["--engine", "openvino"]),
    ("openvino", []),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A ResNet-18 with two heads for 64 px whose batch norm is settled; its weights are drawn."""
    paddle.seed(3)
    model = build_model("resnet18", len(CLASSES), num_heads=2, lam=0.1)
    with paddle.no_grad():
        for _ in range(10):
            model(paddle.rand([8, 3, 64, 64]) * 2 - 1)
    description = {
        "model": "resnet18",
        "num_heads": 2,
        "lam": 0.1,
        "num_cls": len(CLASSES),
        "classes": CLASSES,
        "img_size": 64,
        "normalization": {"mean": [0.3, 0.5, 0.6], "std": [0.5, 0.4, 0.3]},  # no two channels alike
        "dataset": "pets",
        "data_dir": None,
        "epoch": 7,
        "metrics": None,
    }
    path = tmp_path_factory.mktemp("checkpoint") / "pets.pdparams"
    save_checkpoint(path, model, description)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    """exported(format): the model file of an export; skips where packages are absent."""
    folders = {}

    def export(kind):
        if (
            any(not find_spec(name) for name in ("paddle2onnx", "openvino", "onnxruntime"))
            and kind != "paddle"
        ):
            pytest.skip("needs the packages of requirements-deploy.txt")
        if kind not in folders:
            folders[kind] = tmp_path_factory.mktemp(kind)
            call(export_model, "--model_path", checkpoint, "--save_dir", folders[kind], "--format", kind)
        names = {"onnx": "model.onnx", "openvino": "model.xml"}
        return folders[kind] / names.get(kind, "model.pdmodel")

    yield export
    for folder in folders.values():
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def photos(shared_path, tmp_path_factory):
    """A folder of six real photos, and of one of them in every mode and shape that a user may have."""
    folder = tmp_path_factory.mktemp("photos")
    originals = sorted(shared_path("voc2007-originals/VOCdevkit/VOC2007/JPEGImages").iterdir())
    for path in originals[::6]:
        shutil.copy(path, folder)
    image = Image.open(originals[0])
    image.convert("L").save(folder / "grey.png")
    image.convert("P").save(folder / "palette.png")
    image.convert("RGBA").save(folder / "rgba.PNG")
    image.convert("CMYK").save(folder / "cmyk.JPG")
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(folder / "16bit.png")
    image.resize((1, 1)).save(folder / "1x1.bmp")
    image.resize((6000, 4000)).save(folder / "huge.jpeg")
    rotated = Image.Exif()
    rotated[0x0112] = 6  # orientation: turned by 90 degrees
    image.save(folder / "exif.webp", exif=rotated)
    (folder / "notes.txt").write_text("no photo")
    return folder


@pytest.fixture(scope="module")
def few(photos, tmp_path_factory):
    """A folder of the six real photos."""
    folder = tmp_path_factory.mktemp("few")
    for path in photos.glob("0*.jpg"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def expected(checkpoint, photos, tmp_path_factory):
    """{path: scores by name} of predict.py."""
    out = tmp_path_factory.mktemp("predicted") / "scores.json"
    call(predict, "--load_from", checkpoint, "--img_dir", photos, "--out", out, "--device", "cpu")
    return scores_of(out)


def call(module, *argv):
    """Run a script in this process, errors as exceptions."""
    return module.main(module.parse_args([*map(str, argv)]))


@pytest.fixture
def ends_with_2(capfd):
    """A function: run a script in this process to its exit code 2, return its one line on standard error."""

    def run(module, *argv):
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            run_script(module.main, lambda: module.parse_args([*map(str, argv)]))
        said = capfd.readouterr().err  # Paddle may say something of its own before
        assert stop.value.code == 2
        assert "Traceback" not in said
        assert said.count("error: ") == 1
        return said.splitlines()[-1]

    return run


def script(name, *argv, **settings):
    """Run a script as a user does."""
    command = [sys.executable, REPO / f"{name}.py", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **settings)


def scores_of(path):
    return {row["path"]: row["scores"] for row in json.loads(path.read_text())}


def difference(found, expected):
    """Largest difference between two {path: scores by name}."""
    assert list(found) == list(expected)
    return max(abs(found[path][name] - expected[path][name]) for path in expected for name in CLASSES)


# --- export


def test_export_as_the_shell_sees_it(checkpoint, tmp_path):
    done = script("export_model", "--model_path", checkpoint, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Loaded trained params of model successfully."
    assert re.fullmatch(
        r"scores equal the checkpoint's within \d\.\de-\d\d \(Paddle Inference .*\)", lines[-2]
    )
    assert lines[-1] == "Model is saved in output."
    graph = "model.json" if (tmp_path / "output/model.json").exists() else "model.pdmodel"
    assert sorted(os.listdir(tmp_path / "output")) == sorted(["deploy.json", graph, "model.pdiparams"])
    assert os.listdir(tmp_path) == ["output"]


def test_deploy_json_says_it_all(checkpoint, exported):  # fault 36
    about = json.loads((exported("paddle").parent / "deploy.json").read_text())
    assert about["classes"] == CLASSES
    assert about["img_size"] == 64
    assert about["normalization"] == {"mean": [0.3, 0.5, 0.6], "std": [0.5, 0.4, 0.3]}
    assert about["threshold"] == 0.5
    assert about["checkpoint"]["path"] == str(checkpoint)
    assert about["checkpoint"]["epoch"] == 7
    assert about["versions"]["paddle"] == paddle.__version__
    assert set(about["files"]) == set(os.listdir(exported("paddle").parent)) - {"deploy.json"}


def test_without_weights_nothing_is_exported(tmp_path, ends_with_2):  # fault 6
    assert "--model_path" in ends_with_2(export_model, "--save_dir", tmp_path / "out")
    gone = ["--model_path", tmp_path / "gone.pdparams", "--save_dir", tmp_path / "out"]
    assert "gone.pdparams" in ends_with_2(export_model, *gone)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--num_heads", 4], ["--num_heads 4", "says 2"]),
        (["--model", "resnet101"], ["resnet101", "resnet18"]),
        (["--num_cls", 20], ["20", "3"]),
        (["--int8"], ["openvino"]),
        (["--int8", "--format", "openvino"], ["--calib"]),
        (["--calib", "x.jpg"], ["--int8"]),
        (["--format", "tflite"], ["tflite"]),
    ],
)
def test_mistakes_in_an_export_write_nothing(checkpoint, tmp_path, ends_with_2, options, told):
    text = ends_with_2(export_model, "--model_path", checkpoint, "--save_dir", tmp_path / "out", *options)
    assert all(word in text for word in told)
    assert os.listdir(tmp_path) == []


def test_an_export_that_differs_is_an_error(checkpoint, tmp_path, ends_with_2, monkeypatch):
    right = export_model.score_batch
    monkeypatch.setattr(export_model, "score_batch", lambda *given: right(*given) + 2e-4)
    text = ends_with_2(export_model, "--model_path", checkpoint, "--save_dir", tmp_path / "out")
    assert "differ by 2.0e-04" in text
    assert os.listdir(tmp_path) == []


def test_the_check_sees_channels_in_the_wrong_order(checkpoint):
    photos = check_photos(64)
    model, description = export_model.load_checkpoint(checkpoint)
    right = export_model.score_batch(model, photos, description["normalization"])
    wrong = export_model.score_batch(model, photos[..., ::-1], description["normalization"])
    assert np.abs(right - wrong).max() > 10 * export_model.TOLERANCE


def test_packages_that_are_absent_are_named(monkeypatch, checkpoint, tmp_path, ends_with_2):
    monkeypatch.setattr("utils.export.find_spec", lambda name: None)
    assert check_packages("paddle") == {}
    argv = ["--model_path", checkpoint, "--save_dir", tmp_path / "out", "--format", "onnx"]
    text = ends_with_2(export_model, *argv)
    assert "paddle2onnx" in text
    assert "requirements-deploy.txt" in text
    assert os.listdir(tmp_path) == []


def test_another_size(checkpoint, few, tmp_path, capsys):
    call(export_model, "--model_path", checkpoint, "--save_dir", tmp_path, "--img_size", 96)
    out = tmp_path / "infer.json"
    call(infer, "--input_file", few, "--model_file", tmp_path / "model.json", "--out", out)
    given = ["--img_dir", few, "--img_size", 96, "--device", "cpu"]
    call(predict, "--load_from", checkpoint, *given, "--out", tmp_path / "predict.json")
    assert difference(scores_of(out), scores_of(tmp_path / "predict.json")) < 1e-4


def test_int8(checkpoint, photos, few, expected, tmp_path, capsys):
    for package in ("paddle2onnx", "openvino", "nncf"):
        pytest.importorskip(package)
    options = ["--format", "openvino", "--int8", "--calib", few]
    call(export_model, "--model_path", checkpoint, "--save_dir", tmp_path, *options)
    assert "int8 and checkpoint differ by" in capsys.readouterr().out
    out = tmp_path / "infer.json"
    call(infer, "--input_file", photos, "--model_file", tmp_path / "model.xml", "--out", out)
    assert ", int8" in capsys.readouterr().out
    assert 1e-6 < difference(scores_of(out), expected) < 0.2  # some loss, and no more
    assert (tmp_path / "model.bin").stat().st_size < 0.3 * checkpoint.stat().st_size


# --- the same scores as predict


@pytest.mark.parametrize(("kind", "options"), RUNS, ids=lambda value: "-".join(value) if value else "plain")
@pytest.mark.parametrize("batch_size", [1, 5])
def test_infer_and_predict_give_the_same_scores(  # faults 28, 29, 30
    exported, photos, expected, tmp_path, capsys, kind, options, batch_size
):
    out = tmp_path / "scores.json"
    argv = ["--input_file", photos, "--model_file", exported(kind), "-b", batch_size, "--out", out, *options]
    assert call(infer, *argv) == 0
    assert len(expected) == 14
    assert difference(scores_of(out), expected) < 1e-4
    assert len({tuple(row.values()) for row in expected.values()}) > 10  # it is not all the same


def test_bfloat16(exported, photos, expected, tmp_path, capsys):
    out = tmp_path / "scores.json"
    argv = ["--input_file", photos, "--model_file", exported("paddle"), "--precision", "bf16", "--out", out]
    call(infer, *argv)
    said = capsys.readouterr().out
    if engines.has_bfloat16():
        assert ", bf16\n" in said
        assert difference(scores_of(out), expected) < 0.05
    else:
        assert "using fp32" in said


# --- output


def test_lines_and_csv(exported, few, tmp_path, capsys):
    out = tmp_path / "scores.csv"
    model_file = exported("paddle")
    call(infer, "--input_file", few, "--model_file", model_file, "--out", out)
    said = capsys.readouterr().out
    assert "Inference model(CSRARes18)...\n" in said
    header, *rows = csv.reader(out.read_text().splitlines())
    assert header == ["path", "labels", *CLASSES, "width", "height", "threshold", "img_size", "checkpoint"]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)  # fault 30
    for path, labels, *cells in rows:
        names = [name for name, score in zip(CLASSES, cells, strict=False) if float(score) >= 0.5]
        assert cells[3:] == [*map(str, Image.open(path).size), "0.5", "64", str(infer.find_model(model_file))]
        assert labels == ";".join(names)
        assert f"{path}\tprediction: \n{''.join(name + ',' for name in names)}\n" in said
    assert os.listdir(tmp_path) == ["scores.csv"]


def test_classes_and_thresholds_are_those_of_deploy_json(exported, few, tmp_path, capsys):  # fault 36
    folder = tmp_path / "deployed"
    shutil.copytree(exported("paddle").parent, folder)
    about = json.loads((folder / "deploy.json").read_text())
    about["classes"] = ["never", "always", "half"]
    about["threshold"] = [1, 0, 0.5]
    (folder / "deploy.json").write_text(json.dumps(about))
    out = tmp_path / "scores.json"
    call(infer, "--input_file", few, "--model_file", folder / "model.json", "--out", out)
    for row in json.loads(out.read_text()):
        assert row["labels"] == ["always", "half"][: 1 + (row["scores"]["half"] >= 0.5)]


def test_a_broken_photo_is_told_and_the_rest_go_on(exported, expected, photos, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        (folder / "0.jpg").write_bytes(b"no photo")
        shutil.copy(photos / "grey.png", folder / "1.png")
    done = script(
        "infer",
        "--input_file",
        *folders,
        "--model_file",
        exported("paddle"),
        "-b",
        2,
        "--out",
        tmp_path / "x.json",
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [str(folder / "0.jpg") in error for folder, error in zip(folders, errors, strict=True)] == [
        True
    ] * 2
    assert list(scores_of(tmp_path / "x.json")) == [str(folder / "1.png") for folder in folders]
    assert "ReduceMean" not in done.stdout  # what Paddle says goes elsewhere


def test_infer_needs_no_models_and_openvino_no_paddle(exported, photos):
    code = (
        "import sys, infer; infer.main(infer.parse_args(sys.argv[1:])); "
        "print([name for name in ('models', 'paddle') if name in sys.modules])"
    )

    def loaded(model_file):
        argv = ["--input_file", str(photos / "grey.png"), "--model_file", str(model_file)]
        done = subprocess.run([sys.executable, "-c", code, *argv], cwd=REPO, capture_output=True, text=True)
        return done.stdout.splitlines()[-1]

    assert loaded(exported("paddle")) == "['paddle']"
    assert loaded(exported("onnx")) == "[]"


# --- fallbacks


def test_no_gpu_is_one_line(exported, photos, capsys):  # fault 34
    if paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count():
        pytest.skip("this machine has a GPU")
    assert call(infer, "--input_file", photos / "grey.png", "--model_file", exported("paddle")) == 0
    assert "sees no GPU: using the CPU" in capsys.readouterr().out
    argv = ["--input_file", photos / "grey.png", "--model_file", exported("paddle"), "--use_gpu", "False"]
    call(infer, *argv)
    assert "GPU" not in capsys.readouterr().out


def test_either_name_of_the_graph(exported, photos, capsys):  # fault 33
    folder = exported("paddle").parent
    there = next(name for name in ("model.json", "model.pdmodel") if (folder / name).exists())
    other = {"model.json": "model.pdmodel", "model.pdmodel": "model.json"}[there]
    for name in (there, other):
        assert call(infer, "--input_file", photos / "grey.png", "--model_file", folder / name) == 0
        said = f"{folder / other} is not there, {folder / there} is: taking it\n"
        assert (said in capsys.readouterr().out) == (name == other)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_precisions_that_cannot_be_had(exported, photos, expected, tmp_path, capsys, monkeypatch, precision):
    """fault 32: what is not done is said, and fp16 is not quietly bfloat16."""
    monkeypatch.setattr(engines, "has_bfloat16", lambda: False)
    out = tmp_path / "scores.json"
    argv = ["--input_file", photos, "--model_file", exported("paddle"), "--use_gpu", "no", "--out", out]
    call(infer, *argv, "--precision", precision)
    said = capsys.readouterr().out
    assert f"--precision {precision}" in said
    assert "using fp32" in said
    assert ", oneDNN, fp32\n" in said
    assert difference(scores_of(out), expected) < 1e-4


# --- mistakes


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--input_file", "nowhere"], ["nowhere", "--input_file"]),
        (["--model_file", "nowhere/model.pdmodel"], ["nowhere", "export_model.py"]),
        (["--model_file", "model.h5"], ["model.h5", ".onnx"]),
        (["--params_file", "nowhere.pdiparams"], ["nowhere.pdiparams"]),
        (["--engine", "openvino"], ["openvino", "paddle"]),
        (["--dataset", "voc07"], ["voc07", "classes"]),
        (["--precision", "int8"], ["int8", "fp32"]),
        (["--precision", "int4"], ["int4"]),
        (["--out", "x.txt"], ["x.txt"]),
        (["--resume"], ["--out"]),
        (["-b", 0], ["0"]),
    ],
    ids=lambda value: str(value[0]),
)
def test_mistakes(exported, photos, ends_with_2, options, told):
    argv = ["--input_file", photos, "--model_file", exported("paddle"), *options]
    text = ends_with_2(infer, *argv)
    assert all(word in text for word in told)


# --- many photos


def infer_argv(exported, photos, out, *options):
    return ["--input_file", photos, "--model_file", exported("paddle"), "--out", out, *options]


@pytest.fixture(scope="module")
def plain(exported, few, tmp_path_factory):
    """{path: scores by name} of a run that nothing disturbs."""
    out = tmp_path_factory.mktemp("plain") / "scores.json"
    call(infer, *infer_argv(exported, few, out))
    return scores_of(out)


def test_resume_after_a_kill(exported, few, plain, tmp_path, capsys, monkeypatch, stop_after):
    out = tmp_path / "scores.json"
    argv = infer_argv(exported, few, out)
    monkeypatch.setattr(predictions, "labels_of", stop_after(4, predictions.labels_of))
    with pytest.raises(KeyboardInterrupt):
        call(infer, *argv)
    monkeypatch.undo()
    (part,) = tmp_path.iterdir()
    assert len(part.read_text().splitlines()) == 1 + 4  # written as it goes
    part.write_text(part.read_text() + '["torn')
    assert call(infer, *argv, "--resume") == 0
    assert "2 photos to do, 4 done before" in capsys.readouterr().out
    assert difference(scores_of(out), plain) < 1e-4
    assert os.listdir(tmp_path) == ["scores.json"]
    before = out.stat().st_mtime_ns
    assert call(infer, *argv, "--resume") == 0
    assert "nothing to resume" in capsys.readouterr().out
    assert out.stat().st_mtime_ns == before


def test_an_interrupted_run_is_not_lost_by_mistake(
    exported, few, tmp_path, ends_with_2, monkeypatch, stop_after
):
    argv = infer_argv(exported, few, tmp_path / "scores.json")
    monkeypatch.setattr(predictions, "labels_of", stop_after(4, predictions.labels_of))
    with pytest.raises(KeyboardInterrupt):
        call(infer, *argv)
    assert "--resume" in ends_with_2(infer, *argv)
    assert "another model or threshold" in ends_with_2(infer, *argv, "--resume", "--threshold", 0.7)
    assert "another model or threshold" in ends_with_2(infer, *argv, "--resume", "--topk", 2)


def test_each_process_takes_its_share(exported, few, plain, tmp_path, capsys, monkeypatch):
    out = tmp_path / "scores.json"
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "3")
    for rank in (2, 0, 1):
        assert not out.exists()
        monkeypatch.setenv("PADDLE_TRAINER_ID", str(rank))
        capsys.readouterr()
        call(infer, *infer_argv(exported, few, out))
        assert capsys.readouterr().out.count("prediction: ") == 2
    assert difference(scores_of(out), plain) < 1e-4
    assert os.listdir(tmp_path) == ["scores.json"]


@pytest.mark.slow
def test_distributed_launch(exported, few, plain, tmp_path):
    launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "log"]
    argv = [*launch, REPO / "infer.py", *infer_argv(exported, few, tmp_path / "scores.json")]
    subprocess.run([*map(str, argv)], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert difference(scores_of(tmp_path / "scores.json"), plain) < 1e-4
