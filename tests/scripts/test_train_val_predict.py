"""train, val and predict as a user runs them, on 24 drawn photos of 64 px."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

import predict
import train
import val
from utils import predictions
from utils.checkpoint import read_checkpoint
from utils.errors import UserError
from utils.scoring import score_batch
from utils.training import epoch_line
from utils.weights import write_weights

REPO = Path(__file__).resolve().parents[2]
CLASSES = ("red", "green", "blue")
SIX = ("CP", "CR", "CF1", "OP", "OR", "OF1")


def labels_of(folder, split):
    return json.loads((folder / f"{split}.json").read_text())


# --- running


def script(name, *argv, **settings):
    """Run a script as a user does."""
    return subprocess.run(
        [sys.executable, REPO / f"{name}.py", *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=120,
        **settings,
    )


def call(module, *argv):
    """Run a script in this process, errors as exceptions."""
    return module.main(module.parse_args([*map(str, argv), "--device", "cpu"]))


def recipe(shapes, save_dir, *options):
    """Options of a small training; the last ones given count."""
    given = ["--dataset", shapes, "--save_dir", save_dir, "--model", "resnet18", "--pretrained", "none"]
    return [*given, "--img_size", 64, "--batch_size", 8, "--total_epoch", 1, "--seed", 1, *options]


@contextmanager
def at_most(seconds):
    """Fail instead of hanging."""

    def ring(*_):
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def trained(shapes, tmp_path_factory):
    """(process, folder of the run) of a training of two epochs."""
    save = tmp_path_factory.mktemp("trained")
    done = script(
        "train", *recipe(shapes, save, "--total_epoch=2", "--warmup_epoch", 1, "--num_workers", 2), cwd=save
    )
    yield done, save / "resnet18"
    shutil.rmtree(save)


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[1] / "last.pdparams"


@pytest.fixture(scope="module")
def evaluated(shapes, checkpoint, tmp_path_factory):
    """(process, --out folder, home) of val on the test split, with an empty home folder."""
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "home").mkdir()
    environment = {**os.environ, "HOME": str(folder / "home")}
    argv = ["--load_from", checkpoint, "--batch_size", 3, "--out", folder / "out"]
    return script("val", *argv, cwd=folder, env=environment), folder / "out", folder / "home"


# --- train


def test_train_prints(trained):
    done, folder = trained
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for epoch in (1, 2):
        line = next(line for line in lines if line.startswith(f"Epoch {epoch} training ends"))
        number = r"\d+\.\d+"
        rate = r"\d\.\d{3}e[+-]\d\d"  # fault 20
        assert re.search(
            rf"loss:{number}, lr:{rate}, head lr:{rate}, batch time:{number}, data time:{number}, "
            rf"{number} images/s$",
            line,
        )
        assert re.search(rf"^Epoch {epoch}\[8/16\]: loss:{number}, lr:{rate}, ", done.stdout, re.MULTILINE)
        assert f"Test on Epoch {epoch}" in lines
    assert len([line for line in lines if line.startswith("mAP: ")]) == 2
    last, best, values = lines[-3:]
    assert re.fullmatch(rf"last: epoch 2, mAP {number}, {re.escape(str(folder))}/last.pdparams", last)
    assert best.startswith("best on the evaluation split: epoch ")  # fault 21
    assert [line for line in lines if "best" in line] == [best, values]
    *_, second, closing = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert json.loads(values) == closing
    mAP = second["metrics"]["mAP"]
    path = str(folder / "last.pdparams")
    assert closing["summary"]["last"] == {"epoch": 2, "mAP": mAP, "averaged": False, "path": path}
    assert set(closing["summary"]["best"]) == set(closing["summary"]["last"])
    assert closing["summary"]["best"]["mAP"] >= mAP


def test_small_learning_rates_are_visible():  # fault 20
    figures = dict(loss=0.1, lr=1e-9, head_lr=1e-8, time=1.0, batch_time=1.0, data_time=0.1)
    line = epoch_line(17, {**figures, "photos_per_second": 3.0})
    assert "lr:1.000e-09" in line
    assert "head lr:1.000e-08" in line


def test_train_logs(trained, shapes):
    _, folder = trained
    first, *epochs, _ = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert first["options"]["num_heads"] == 1
    assert first["options"]["dataset"] == str(shapes)
    assert first["versions"]["paddle"] == paddle.__version__
    assert "git" in first["versions"]
    assert [line["epoch"] for line in epochs] == [1, 2]
    for line in epochs:
        assert line["loss"] > 0
        assert line["head_lr"] == pytest.approx(10 * line["lr"])
        assert line["time"] > 0
        assert line["compute_time"] == pytest.approx(line["batch_time"] - line["data_time"])
        assert {"mAP", "ap", *SIX} <= set(line["metrics"])
        assert set(line["metrics"]["ap"]) == set(CLASSES)
    assert epochs[1]["lr"] == pytest.approx(
        0.01
    )  # warm-up ends with epoch 1 (faults 10 and 11: test_schedule)


def test_train_writes(trained):
    _, folder = trained
    epochs = [f"epoch_{n}.{suffix}" for n in (1, 2) for suffix in ("pdopt", "pdparams")]
    names = ["best.pdparams", "curves.png", *epochs, "last.pdparams", "log.jsonl"]
    assert sorted(os.listdir(folder)) == names
    with Image.open(folder / "curves.png") as curves:
        assert curves.format == "PNG"
        assert min(curves.size) > 300
        curves.load()
    tensors, description = read_checkpoint(folder / "last.pdparams")
    assert description["epoch"] == 2
    assert description["classes"] == list(CLASSES)
    assert description["img_size"] == 64
    assert description["normalization"] == {"mean": [0, 0, 0], "std": [1, 1, 1]}
    lines = (folder / "log.jsonl").read_text().splitlines()
    assert description["metrics"] == json.loads(lines[2])["metrics"]
    assert not [name for name in tensors if "fc" in name]  # fault 2
    earlier, _ = read_checkpoint(folder / "epoch_1.pdparams")
    for name in ("backbone.conv1.weight", "backbone.bn1._mean", "classifier.multi_head.0.head.weight"):
        assert not np.array_equal(earlier[name], tensors[name])  # all of it learns in epoch 2, too
    maps = [json.loads(line)["metrics"]["mAP"] for line in lines[1:3]]
    assert read_checkpoint(folder / "best.pdparams")[1]["epoch"] == 1 + int(maps[1] > maps[0])


def test_without_evaluation_and_with_keep(shapes, save_dir, capsys):  # fault 8: False is False
    call(train, *recipe(shapes, save_dir, "--tranval", "False", "--keep", 1, "--total_epoch", 2))
    weights = [path.name for path in (save_dir / "resnet18").glob("*.pdparams")]
    assert sorted(weights) == ["epoch_2.pdparams", "last.pdparams"]
    said = capsys.readouterr().out
    assert "best on" not in said
    assert json.loads(said.splitlines()[-1])["summary"]["best"] is None
    assert "Test on" not in said
    lines = (save_dir / "resnet18/log.jsonl").read_text().splitlines()
    assert [json.loads(line)["metrics"] for line in lines[1:3]] == [None, None]


def weights_after(shapes, save_dir, *options):
    augmentations = ["--train_aug", "randomflip", "resizedcrop", "colorjitter"]
    call(train, *recipe(shapes, save_dir, "--tranval=no", "--warmup_epoch=0", *augmentations, *options))
    tensors, _ = read_checkpoint(save_dir / "resnet18/last.pdparams")
    shutil.rmtree(save_dir)
    return tensors


def test_the_seed_decides_whatever_the_number_of_workers(shapes, save_dir):  # fault 18
    with at_most(60):
        one = weights_after(shapes, save_dir, "--num_workers", 0)
        two = weights_after(shapes, save_dir, "--num_workers", 3)
        other = weights_after(shapes, save_dir, "--num_workers", 3, "--seed", 2)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    name = "backbone.conv1.weight"
    assert not np.array_equal(one[name], other[name])


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_photo_ends_training_with_its_path(shapes, save_dir, tmp_path, workers, write_labels):
    broken = tmp_path / "broken.png"
    broken.write_bytes((shapes / "photos/00.png").read_bytes()[:300])
    records = labels_of(shapes, "train")
    records[3] = {**records[3], "img_path": str(broken)}
    data = write_labels(tmp_path / "data", records, records)
    with at_most(30), pytest.raises(UserError, match="cannot read photo") as error:
        call(train, *recipe(data, save_dir, "--num_workers", workers))
    assert str(broken) in str(error.value)


def test_a_run_that_diverges_ends_in_one_line(shapes, save_dir, ends_with_2):
    text = ends_with_2(train, *recipe(shapes, save_dir, "--lr", "1e30", "--warmup_epoch", 0))
    assert "--lr" in text


# --- val


def test_val_prints_the_three_lines(evaluated):
    done, folder, _ = evaluated
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("mAP: "))
    assert [line[:4] for line in lines[start : start + 3]] == ["mAP:", "CP: ", "OP: "]
    figures = json.loads((folder / "metrics.json").read_text())
    assert lines[start] == f"mAP: {figures['mAP']:4f}"
    for line, names in zip(lines[start + 1 : start + 3], (SIX[:3], SIX[3:]), strict=True):
        printed = [float(value) for value in re.findall(r"\d\.\d+", line)]
        assert printed == pytest.approx([figures[name] for name in names], abs=1e-6)


def test_val_equals_the_log(evaluated, trained):
    figures = json.loads((evaluated[1] / "metrics.json").read_text())
    logged = json.loads((trained[1] / "log.jsonl").read_text().splitlines()[2])["metrics"]
    assert figures["ap"] == pytest.approx(logged["ap"], abs=1e-6)
    for name in ("mAP", *SIX):
        assert figures[name] == pytest.approx(logged[name], abs=1e-6)


def test_val_writes(evaluated, shapes, checkpoint):
    folder = evaluated[1]
    assert sorted(os.listdir(folder)) == ["metrics.json", "scores.npz"]
    figures = json.loads((folder / "metrics.json").read_text())
    assert figures["options"]["load_from"] == str(checkpoint)
    assert figures["checkpoint"]["epoch"] == 2
    assert figures["photos"] == 8
    assert set(figures["ap"]) == set(figures["positives"]) == set(CLASSES)
    records = labels_of(shapes, "test")
    with np.load(folder / "scores.npz") as arrays:
        assert arrays["paths"].tolist() == [record["img_path"] for record in records]
        assert arrays["targets"].tolist() == [record["target"] for record in records]
        assert arrays["scores"].shape == (8, 3)


def test_val_needs_no_network_and_no_home(evaluated):  # fault 5
    assert [path for path in evaluated[2].rglob("*") if path.is_file()] == []


def test_nothing_is_downloaded(checkpoint, shapes, monkeypatch, capsys):  # fault 5
    def download(*_, **__):
        raise AssertionError("tried to download")

    monkeypatch.setattr(paddle.utils.download, "get_weights_path_from_url", download)
    monkeypatch.setattr("socket.socket.connect", download)
    call(val, "--load_from", checkpoint)
    call(predict, "--load_from", checkpoint, "--img_dir", shapes / "photos/00.png")


def test_val_on_the_training_split(checkpoint, tmp_path, capsys):
    call(val, "--load_from", checkpoint, "--split", "train", "--out", tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["photos"] == 16
    assert "train split" in capsys.readouterr().out


def test_order_of_the_label_file_does_not_matter(  # fault 26
    evaluated, shapes, checkpoint, tmp_path, write_labels
):
    records = labels_of(shapes, "test")
    permuted = [records[i] for i in (5, 2, 7, 0, 3, 6, 1, 4)]
    data = write_labels(tmp_path / "data", labels_of(shapes, "train"), permuted)
    call(val, "--load_from", checkpoint, "--dataset", data, "--out", tmp_path / "out")
    before, after = (
        json.loads((folder / "metrics.json").read_text()) for folder in (evaluated[1], tmp_path / "out")
    )
    assert after["ap"] == pytest.approx(before["ap"], abs=1e-12)
    assert [after[name] for name in SIX] == pytest.approx([before[name] for name in SIX], abs=1e-12)
    scores, again = scores_of(evaluated[1]), scores_of(tmp_path / "out")
    assert all(again[path] == pytest.approx(scores[path], abs=1e-6) for path in scores)


def scores_of(folder):
    """{path: scores} of a scores.npz."""
    with np.load(folder / "scores.npz") as arrays:
        return dict(zip(arrays["paths"].tolist(), arrays["scores"], strict=True))


def test_unreadable_photo_ends_evaluation_with_its_path(checkpoint, tmp_path, ends_with_2, write_labels):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    records = [{"img_path": str(tmp_path / "broken.jpg"), "target": [1, 0, 0]}]
    data = write_labels(tmp_path / "data", records, records)
    argv = ["--load_from", checkpoint, "--dataset", data, "--out", tmp_path / "out"]
    assert "broken.jpg" in ends_with_2(val, *argv)
    assert not (tmp_path / "out").exists()


# --- val with attention at test time


@pytest.fixture(scope="module")
def without_attention(checkpoint, tmp_path_factory):
    """The checkpoint as if it had been trained with --lam 0."""
    tensors, description = read_checkpoint(checkpoint)
    path = tmp_path_factory.mktemp("lam0") / "lam0.pdparams"
    write_weights(path, tensors, {**description, "lam": 0})
    yield path
    path.unlink()


@pytest.mark.parametrize(("heads", "said"), [([], 1), (["--test_time_heads", 4], 4)], ids=["one", "four"])
def test_val_says_that_it_attends_at_test_time(
    without_attention, checkpoint, shapes, tmp_path, capsys, heads, said
):
    argv = ["--load_from", without_attention, "--test_time_lam", 0.1, *heads, "--out", tmp_path / "out"]
    call(val, *argv)
    first = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Test on"))
    assert first == (
        f"Test on {without_attention}: 8 photos of {shapes}, test split, 64 px, "
        f"attention at test time: lambda 0.1, heads {said}"
    )
    call(val, "--load_from", checkpoint, "--out", tmp_path / "trained")  # one head of lam 0.1
    scores, others = scores_of(tmp_path / "out"), scores_of(tmp_path / "trained")
    difference = max(np.abs(scores[path] - others[path]).max() for path in scores)
    assert difference < 1e-6 if said == 1 else difference > 1e-4
    options = json.loads((tmp_path / "out/metrics.json").read_text())["options"]
    assert options["test_time_lam"] == 0.1


def test_val_without_attention_at_test_time_does_not_speak_of_it(without_attention, tmp_path, capsys):
    call(val, "--load_from", without_attention, "--out", tmp_path / "plain")
    assert "attention at" not in capsys.readouterr().out
    call(val, "--load_from", without_attention, "--test_time_lam", 0, "--out", tmp_path / "zero")
    scores, others = scores_of(tmp_path / "plain"), scores_of(tmp_path / "zero")
    assert all(others[path] == pytest.approx(scores[path], abs=1e-6) for path in scores)


def test_mistakes_with_attention_at_test_time(without_attention, checkpoint, tmp_path, ends_with_2):
    out = ["--out", tmp_path / "out"]
    text = ends_with_2(val, "--load_from", checkpoint, "--test_time_lam", 0.2, *out)
    assert "trained with lambda 0" in text
    assert "has 0.1" in text
    text = ends_with_2(val, "--load_from", without_attention, "--test_time_heads", 4, *out)
    assert "--test_time_lam" in text
    argv = ["--load_from", without_attention, "--test_time_lam", 0.2, *out]
    assert "--test_time_heads 3" in ends_with_2(val, *argv, "--test_time_heads", 3)
    assert "--test_time_lam" in ends_with_2(val, *argv, "--test_time_lam", -0.1)
    assert not (tmp_path / "out").exists()


# --- predict


@pytest.mark.parametrize(("batch_size", "suffix"), [(1, "json"), (5, "csv"), (16, "json")])
def test_predict_and_val_give_the_same_scores(
    evaluated, shapes, checkpoint, tmp_path, capsys, batch_size, suffix
):
    photos = [record["img_path"] for record in labels_of(shapes, "test")]
    out = tmp_path / f"scores.{suffix}"
    argv = ["--load_from", checkpoint, "--img_dir", *reversed(photos), "--batch_size", batch_size]
    assert call(predict, *argv, "--out", out) == 0
    if suffix == "json":
        found = {row["path"]: list(row["scores"].values()) for row in json.loads(out.read_text())}
        assert all(list(row["scores"]) == list(CLASSES) for row in json.loads(out.read_text()))
    else:
        header, *rows = csv.reader(io.StringIO(out.read_text()))
        assert header[: 2 + len(CLASSES)] == ["path", "labels", *CLASSES]
        found = {path: [float(value) for value in cells[: len(CLASSES)]] for path, _, *cells in rows}
    assert list(found) == sorted(photos)
    scores = scores_of(evaluated[1])
    assert all(found[path] == pytest.approx(scores[path], abs=1e-6) for path in photos)


@pytest.mark.parametrize("threshold", [None, 0, 0.3, 1])
def test_predicted_labels_follow_the_threshold(shapes, checkpoint, tmp_path, capsys, threshold):
    argv = ["--load_from", checkpoint, "--img_dir", shapes / "photos", "--out", tmp_path / "x.json"]
    call(predict, *argv, *([] if threshold is None else ["--threshold", threshold]))
    lines = [line for line in capsys.readouterr().out.splitlines() if " prediction: " in line]
    rows = json.loads((tmp_path / "x.json").read_text())
    assert len(lines) == len(rows) == 24
    for line, row in zip(lines, rows, strict=True):
        least = 0.5 if threshold is None else threshold
        labels = [name for name, score in row["scores"].items() if score >= least]
        assert row["labels"] == labels
        assert line == f"{row['path']} prediction: " + "".join(f"{name}," for name in labels)


def test_a_score_at_the_threshold_counts(shapes, checkpoint, tmp_path, capsys):
    argv = ["--load_from", checkpoint, "--img_dir", shapes / "photos/03.png", "--out", tmp_path / "x.json"]
    call(predict, *argv)
    name, score = max(
        json.loads((tmp_path / "x.json").read_text())[0]["scores"].items(), key=lambda it: it[1]
    )
    capsys.readouterr()
    call(predict, *argv, "--threshold", repr(score))
    assert f"03.png prediction: {name},\n" in capsys.readouterr().out


def test_a_broken_photo_is_told_and_the_rest_go_on(shapes, checkpoint, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(shapes / "photos/00.png", folder / "c.PNG")
    shutil.copy(shapes / "photos/01.png", folder / "a.png")
    (folder / "b.jpg").write_bytes(b"no photo")
    (folder / "notes.txt").write_text("not a photo either")  # fault 30
    done = script("predict", "--load_from", checkpoint, "--img_dir", "photos", cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*photos/b\.jpg.*\n", done.stderr)
    lines = [line.split(" prediction: ")[0] for line in done.stdout.splitlines() if "prediction" in line]
    assert lines == ["photos/a.png", "photos/c.PNG"]


def test_only_broken_photos(checkpoint, tmp_path, capsys):
    (tmp_path / "b.jpg").write_bytes(b"no photo")
    argv = ["--load_from", checkpoint, "--img_dir", tmp_path, "--out", tmp_path / "x.json"]
    assert call(predict, *argv) == 1
    assert json.loads((tmp_path / "x.json").read_text()) == []


def test_reader_of_the_lines_goes_away(shapes, checkpoint):
    """As in `predict.py ... | head -1`."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-u",
            REPO / "predict.py",
            "--load_from",
            checkpoint,
            "--img_dir",
            shapes / "photos",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


class Watched(paddle.nn.Layer):
    """Logits (B, 2) of normalised photos; notes the batch sizes and whether gradients were recorded."""

    def __init__(self):
        super().__init__()
        self.weight = self.create_parameter([3, 2])
        self.batches, self.gradients = [], []

    def forward(self, x):
        logits = x.mean(axis=[2, 3]) @ self.weight
        self.batches.append(len(x))
        self.seen = x[0].mean(axis=[1, 2]).tolist()  # mean of each channel
        self.gradients.append(paddle.is_grad_enabled() or not logits.stop_gradient)
        return logits


TWO_CLASSES = {
    "classes": ["a", "b"],
    "img_size": 32,
    "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]},
}


def test_predict_works_in_batches_without_gradients(shapes):  # fault 31
    model = Watched()
    photos = sorted(map(str, (shapes / "photos").iterdir()))
    found = list(predict.predict_images(model, TWO_CLASSES, photos, batch_size=10))
    assert [photo.path for photo in found] == photos
    assert model.batches == [10, 10, 4]
    assert not any(model.gradients)
    batch = score_batch(model, np.zeros((2, 8, 8, 3), np.uint8), TWO_CLASSES["normalization"])
    assert isinstance(batch, np.ndarray)  # nothing that a graph could hang on
    assert paddle.is_grad_enabled()


def test_normalization_is_the_checkpoint_s(shapes):  # fault 36
    model = Watched()
    score_batch(model, np.zeros((1, 8, 8, 3), np.uint8), {"mean": [0.5, 0, 0.25], "std": [0.5, 1, 0.25]})
    assert model.seen == pytest.approx([-1, 0, -1])


def test_predict_holds_few_photos_at_a_time(shapes, monkeypatch):  # fault 31
    read = []
    monkeypatch.setattr(
        predictions, "read_photo", lambda path: read.append(path) or Image.new("RGB", (32, 32))
    )
    photos = [str(number) for number in range(1000)]
    results = predict.predict_images(Watched(), TWO_CLASSES, photos, batch_size=4, num_workers=2)
    with at_most(30):
        next(results)
        assert len(read) <= 4 + 2 * 4 + 4
        results.close()


# --- mistakes


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--dataset", "pascal"], ["pascal", "voc07", "coco", "wider"]),  # fault 9
        (["--model", "resnet19"], ["resnet19", "resnet18", "resnet152"]),  # fault 3
        (["--pretrained", "nowhere.pdparams"], ["nowhere.pdparams"]),
        (["--num_heads", 3], ["3", "1", "2", "4", "6", "8"]),
        (["--num_cls", 20], ["20", "3"]),
        (["--data_dir", "nowhere"], ["nowhere"]),
        (["--seed", 2**64], ["seed"]),
    ],
    ids=lambda value: str(value[0]),
)
def test_mistakes_in_training_write_nothing(shapes, save_dir, ends_with_2, options, told):
    text = ends_with_2(train, *recipe(shapes, save_dir, *options))
    assert all(word in text for word in told)
    assert not save_dir.exists()


def test_missing_photo_writes_nothing(shapes, save_dir, tmp_path, ends_with_2, write_labels):
    records = labels_of(shapes, "train")
    data = write_labels(tmp_path / "data", [*records, {**records[0], "img_path": "gone.png"}], records)
    assert "gone.png" in ends_with_2(train, *recipe(data, save_dir))
    assert not save_dir.exists()


def test_no_gpu_writes_nothing(shapes, save_dir, ends_with_2):
    if paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="--device"):
        train.main(train.parse_args([*map(str, recipe(shapes, save_dir)), "--device", "gpu"]))
    assert not save_dir.exists()


@pytest.mark.parametrize("module", [val, predict], ids=["val", "predict"])
def test_mistakes_with_a_checkpoint(module, shapes, checkpoint, tmp_path, ends_with_2):
    given = ["--img_dir", shapes / "photos"] if module is predict else []
    text = ends_with_2(module, *given, "--load_from", tmp_path / "gone.pdparams")  # fault 42
    assert "gone.pdparams" in text
    text = ends_with_2(module, *given, "--load_from", checkpoint, "--num_heads", 4)
    assert "--num_heads 4" in text
    assert "says 1" in text
    text = ends_with_2(module, *given, "--load_from", checkpoint, "--model", "resnet34")
    assert "resnet34" in text
    assert "resnet18" in text
    (tmp_path / "half.pdparams").write_bytes(checkpoint.read_bytes()[:-1000])
    assert "half.pdparams" in ends_with_2(module, *given, "--load_from", tmp_path / "half.pdparams")


def test_val_with_another_class_list(shapes, checkpoint, tmp_path, ends_with_2, write_labels):
    records = labels_of(shapes, "test")
    data = write_labels(tmp_path / "data", records, records, classes=["red", "blue", "green"])
    text = ends_with_2(val, "--load_from", checkpoint, "--dataset", data)
    assert "classes" in text


def test_predict_without_photos(checkpoint, tmp_path, ends_with_2):
    (tmp_path / "notes.txt").write_text("x")
    assert str(tmp_path) in ends_with_2(predict, "--load_from", checkpoint, "--img_dir", tmp_path)
    assert "nowhere" in ends_with_2(predict, "--load_from", checkpoint, "--img_dir", "nowhere")
    out = ["--out", tmp_path / "x.txt"]
    assert "x.txt" in ends_with_2(predict, "--load_from", checkpoint, "--img_dir", tmp_path, *out)
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_a_mistake_as_the_shell_sees_it(tmp_path):
    done = script("train", "--dataset", "pascal", "--save_dir", tmp_path / "save", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: .*pascal.*\n", done.stderr)
    assert os.listdir(tmp_path) == []
