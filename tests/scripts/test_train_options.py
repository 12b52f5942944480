"""train.py through its options, with a trunk of two blocks: what log, files and mistakes then say."""

import gc
import json
import shutil

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.vision.models.resnet import BasicBlock

import models
import train
import val
from datasets.loader import Loader, Share
from datasets.records import read_split
from datasets.spec import load_spec
from models import build_model
from utils.checkpoint import read_checkpoint
from utils.losses import LOSSES, bce, positive_weights
from utils.schedule import learning_rate

TIMED = ("time", "batch_time", "data_time", "compute_time", "photos_per_second")


def recipe(data, save_dir, *options):
    """Options of a small training; the last ones given count."""
    given = ["--dataset", data, "--save_dir", save_dir, "--model", "tiny", "--pretrained", "none"]
    given += ["--img_size", 32, "--batch_size", 8, "--total_epoch", 1, "--seed", 1, "--num_workers", 0]
    return [*given, "--warmup_epoch", 0, "--tranval", "no", "--train_aug", *options]


class TinyTrunk(nn.Sequential):
    """A convolution and two residual blocks of eight channels: photos of 32 px -> maps of 4 x 4."""

    num_features = 8

    def __init__(self):
        super().__init__(nn.Conv2D(3, 8, 3, stride=8, padding=1), BasicBlock(8, 8), BasicBlock(8, 8))


@pytest.fixture(autouse=True)
def _tiny_trunk(monkeypatch):
    monkeypatch.setitem(models.TRUNKS, "tiny", TinyTrunk)


@pytest.fixture
def run(shapes, save_dir, capsys):
    """run(*options, data): (lines of the epochs without what the clock says, printed lines) of a training."""

    def call(*options, data=shapes):
        shutil.rmtree(save_dir, ignore_errors=True)
        capsys.readouterr()
        argv = recipe(data, save_dir, *options)
        train.main(train.parse_args([*map(str, argv), "--device", "cpu"]))
        gc.collect()  # frames that matplotlib leaves in a circle hold the lock of the run's folder
        lines = [json.loads(line) for line in (save_dir / "tiny/log.jsonl").read_text().splitlines()]
        epochs = [{k: v for k, v in line.items() if k not in TIMED} for line in lines if "epoch" in line]
        return epochs, capsys.readouterr().out.splitlines()

    return call


def weights_in(save_dir, name="last"):
    return read_checkpoint(save_dir / f"tiny/{name}.pdparams")[0]


def trained_names(tensors):
    return [name for name in tensors if not name.endswith(("._mean", "._variance"))]


# --- the loss


def loss_of_epoch(save_dir, data, loss, batch_size=8, accum_steps=1):
    """The mean loss of epoch 1 of a run at rate 0: over the known labels of a step, then over photos."""
    spec, folder = load_spec(str(data), None)
    records = read_split(spec, folder, "train")
    model = build_model("tiny", 3, img_size=32)
    model.set_state_dict(weights_in(save_dir))
    model.train()
    loader = Loader(records, 32, batch_size, shuffle=True, seed=1, share=Share(accum_steps=accum_steps))
    total = 0
    for _, batches in loader.steps(1):
        losses, known, photos = 0, 0, 0
        for batch in batches:
            x = paddle.to_tensor(batch.photos.transpose(0, 3, 1, 2).astype("float32") / 255)
            losses += float(loss(model(x), paddle.to_tensor(batch.labels)).sum())
            known += (batch.labels >= 0).sum()
            photos += len(batch.labels)
        total += photos * losses / known
    return total / len(records)


def balanced(data):
    spec, folder = load_spec(str(data), None)
    weights = positive_weights(read_split(spec, folder, "train").labels)
    assert (weights != 1).any()
    return lambda logits, labels: bce(logits, labels, pos_weight=paddle.to_tensor(weights))


def test_each_loss_is_the_one_that_is_trained_with(run, shapes, save_dir):
    losses = {("--loss", name): LOSSES[name] for name in ("bce", "asl", "focal")}
    losses[("--pos_weight", "auto")] = balanced(shapes)
    logged = []
    for options, loss in losses.items():
        ((line,), _) = run("--lr", 0, *options)
        assert line["loss"] == pytest.approx(loss_of_epoch(save_dir, shapes, loss), abs=1e-5)
        logged.append(line["loss"])
    differences = np.abs(np.subtract.outer(logged, logged))[np.triu_indices(4, 1)]
    assert differences.min() > 0.01


def test_small_batches_make_a_step_together(run, shapes, save_dir):
    options = ["--batch_size", 3, "--accum_steps", 2, "--print_freq", 1]
    ((line,), said) = run("--lr", 0, *options)
    expected = loss_of_epoch(save_dir, shapes, LOSSES["bce"], batch_size=3, accum_steps=2)
    assert line["loss"] == pytest.approx(expected, abs=1e-5)
    steps = [text.split(":")[0] for text in said if text.startswith("Epoch 1[")]
    assert steps == ["Epoch 1[6/16]", "Epoch 1[12/16]", "Epoch 1[16/16]"]


def test_labels_that_nobody_gave_are_trained_around(run, shapes, save_dir, tmp_path, write_labels):
    records = {split: json.loads((shapes / f"{split}.json").read_text()) for split in ("train", "test")}
    for number, record in enumerate(records["train"]):
        if number % 3:
            record["target"][number % 3] = 99
    data = write_labels(tmp_path / "data", records["train"], records["test"])
    about = json.loads((data / "classes.json").read_text())
    (data / "classes.json").write_text(json.dumps({**about, "train_ignored": 99}))
    spec, folder = load_spec(str(data), None)
    assert (read_split(spec, folder, "train").labels == -1).sum() == 10
    ((line,), _) = run("--lr", 0, data=data)
    assert line["loss"] == pytest.approx(loss_of_epoch(save_dir, data, LOSSES["bce"]), abs=1e-5)
    ((line,), _) = run("--loss", "asl", "--tranval", "yes", data=data)
    assert np.isfinite(line["loss"])
    assert 0 < line["metrics"]["mAP"] <= 1


# --- the steps


def test_a_tiny_clip_holds_the_weights_where_they_are(run, save_dir):
    weights = []
    for options in (["--lr", 0], ["--grad_clip", "1e-9"], ["--grad_clip", "1e9"], []):
        run("--lr", 0.01, "--w_d", 0, *options)
        weights.append(weights_in(save_dir))
    start, clipped, barely, free = weights
    for name in trained_names(start):
        np.testing.assert_allclose(clipped[name], start[name], rtol=0, atol=1e-7)
        np.testing.assert_array_equal(barely[name], free[name])
    assert max(np.abs(free[name] - start[name]).max() for name in trained_names(start)) > 1e-3


def test_the_rate_grows_with_the_photos_of_a_step(run):
    plain = ["--lr", 0.001, "--batch_size", 4, "--accum_steps", 2]
    schedule = dict(iterations=2, total_epoch=1, step_size=4, warmup_epoch=0, poly_decay=False)
    for options, base in ([], 0.001), (["--scale_lr"], 0.002):
        ((line,), _) = run(*plain, *options)
        assert line["lr"] == pytest.approx(learning_rate(1, 1, base_lr=base, **schedule))


def test_recomputing_changes_nothing_but_time(run, save_dir, monkeypatch):
    passes, forward = [], BasicBlock.forward
    monkeypatch.setattr(BasicBlock, "forward", lambda block, x: passes.append(block) or forward(block, x))
    runs = []
    for options in ([], ["--recompute"]):
        passes.clear()
        epochs, _ = run("--total_epoch", 2, "--tranval", "yes", "--train_aug", "randomflip", *options)
        runs.append((epochs, weights_in(save_dir), len(passes)))
    (expected, weights, once), (ours, theirs, twice) = runs
    assert ours == expected
    for name, value in weights.items():
        np.testing.assert_array_equal(theirs[name], value, err_msg=name)
    assert (once, twice) == (2 * 2 * (2 + 1), 2 * 2 * (4 + 1))  # blocks, epochs, steps and an evaluation


# --- averaged weights


def figures_of_val(path, tmp_path):
    val.main(val.parse_args(["--load_from", str(path), "--out", str(tmp_path / "out"), "--device", "cpu"]))
    return json.loads((tmp_path / "out/metrics.json").read_text())


@pytest.mark.parametrize("frozen", [False, True], ids=["all", "heads alone"])
def test_averaged_weights_are_there_to_be_used(run, save_dir, tmp_path, capsys, frozen):
    options = ["--tranval", "yes", "--total_epoch", 2, "--ema", 0.5, "--lr", 0.002]
    epochs, said = run(*options, *(["--freeze_backbone", "--accum_steps", 2] if frozen else []))
    first = next(text for text in said if text.startswith("Epoch 1["))
    assert first.startswith("Epoch 1[16/16]" if frozen else "Epoch 1[8/16]")
    folder = save_dir / "tiny"
    for line in epochs:
        for metrics, name in (("metrics", ""), ("metrics_averaged", "_averaged")):
            _, description = read_checkpoint(folder / f"epoch_{line['epoch']}{name}.pdparams")
            assert description["averaged"] is bool(name)
            assert description["metrics"] == line[metrics]
    averaged, last = weights_in(save_dir, "last_averaged"), weights_in(save_dir)
    moved = {name.split(".")[0] for name in last if (averaged[name] != last[name]).any()}
    assert moved == ({"classifier"} if frozen else {"classifier", "backbone"})
    figures = figures_of_val(folder / "last_averaged.pdparams", tmp_path)
    assert figures["checkpoint"]["averaged"] is True
    for name in ("mAP", "CF1", "OF1"):
        # maps of a frozen trunk are kept as halves
        expected = pytest.approx(epochs[-1]["metrics_averaged"][name], abs=1e-3 if frozen else 1e-6)
        assert figures[name] == expected
    mAPs = {
        (line["epoch"], averaged): line[metrics]["mAP"]
        for line in epochs
        for metrics, averaged in (("metrics", False), ("metrics_averaged", True))
    }
    summary = json.loads(said[-1])["summary"]
    best = summary["best"]
    assert best["mAP"] == max(mAPs.values()) == mAPs[best["epoch"], best["averaged"]]
    assert (", averaged weights" in said[-2]) == best["averaged"]
    assert summary["last"]["mAP"] == mAPs[2, False]


# --- mistakes


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--loss", "asl", "--pos_weight", "auto"], "--pos_weight is for --loss bce; asl weighs positives"),
        (["--loss", "focal", "--pos_weight", "auto"], "--pos_weight is for --loss bce; focal weighs"),
        (["--amp", "O1"], "--amp needs a GPU"),
        (["--amp", "O2", "--amp_dtype", "bfloat16"], "--amp needs a GPU"),
        (["--sync_bn"], "--sync_bn needs a GPU"),
        (["--freeze_backbone", "--recompute"], "--recompute does nothing for --freeze_backbone"),
        (["--freeze_backbone", "--cache", "ram"], "--cache does nothing for --freeze_backbone"),
        (["--freeze_backbone", "--sync_bn"], "--sync_bn "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_do_not_go_together_write_nothing(shapes, save_dir, ends_with_2, options, told):
    assert told in ends_with_2(train, *recipe(shapes, save_dir, *options))
    assert not save_dir.exists()


def test_sync_bn_does_nothing_for_a_frozen_trunk_on_a_gpu_either():
    args = train.parse_args(["--freeze_backbone", "--sync_bn"])
    with pytest.raises(train.UserError, match="--sync_bn does nothing for --freeze_backbone"):
        train.check_machine(args, "gpu", train.join_processes())


def test_a_run_that_diverges_says_when_and_at_which_photos(shapes, save_dir, ends_with_2):
    argv = recipe(shapes, save_dir, "--lr", "1e30", "--batch_size", 2, "--accum_steps", 2)
    text = ends_with_2(train, *argv)
    spec, folder = load_spec(str(shapes), None)
    records = read_split(spec, folder, "train")
    loader = Loader(records, 32, 2, shuffle=True, seed=1, share=Share(accum_steps=2))
    steps = [[records.paths[i] for b in batches for i in b.indices] for _, batches in loader.steps(1)]
    told = [
        f"at epoch 1, iteration {number}; lower --lr or look at {', '.join(paths)}\n"
        for number, paths in enumerate(steps)
    ]
    assert text.startswith("error: the loss is ")
    assert sum(text.endswith(line) for line in told[1:3]) == 1
