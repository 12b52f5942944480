"""The checks of parity.py, which the tests run too: each returns rows (what, tolerance, largest difference).

All are float32 on the CPU and go through the code that users run: our reader of the
original's files, our evaluation transform, our training step.
"""

import json
import lzma
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import paddle  # noqa: E402
import paddle.nn.functional as F  # noqa: E402

from benchmarks.common import Ready  # noqa: E402
from datasets.spec import SPECS  # noqa: E402
from datasets.transforms import read_photo, transform  # noqa: E402
from models import CSRAModel, build_model, normalize  # noqa: E402
from models.csra import MHA, TEMPERATURES  # noqa: E402
from models.loading import load_strict  # noqa: E402
from models.vit import VisionTransformer, resize_pos_embed  # noqa: E402
from utils.checkpoint import load_checkpoint  # noqa: E402
from utils.evaluation.metrics import IGNORED, average_precision  # noqa: E402
from utils.learner import Learner, make_optimizer  # noqa: E402
from utils.schedule import learning_rate  # noqa: E402
from utils.training import train_epoch  # noqa: E402
from utils.weights import read_weights  # noqa: E402

SMALL = ROOT / "tests/golden"
PIXELS = {"mean": (0, 0, 0), "std": (1, 1, 1)}  # of VOC in the original: 0..1 as they are
RESNET18 = "resnet18_csra_h1_legacy_dataparallel.pth.xz"


def difference(ours, theirs):
    """Largest absolute difference of two arrays; their shapes must agree."""
    ours, theirs = (np.asarray(value, "float64") for value in (ours, theirs))
    if ours.shape != theirs.shape:
        raise ValueError(f"shapes {ours.shape} and {theirs.shape}")
    return float(np.abs(ours - theirs).max())


def unpacked(path):
    """Model and description out of one of the original's files, given xz-compressed."""
    settings = {RESNET18: dict(model="resnet18", lam=0.1, img_size=224)}
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        file.write(lzma.decompress(path.read_bytes()))
        file.flush()
        return load_checkpoint(file.name, **settings.get(path.name, dict(lam=0.5, img_size=448)))


def check_head(_):
    """The heads alone, 20 cases of H and lambda."""
    golden = np.load(SMALL / "csra_head.npz")
    logits, losses, gradients = [], [], []
    for case in sorted({name.split("/")[0] for name in golden.files}):
        num_heads, lam = case.removeprefix("H").split("_lam")
        heads = MHA(int(num_heads), float(lam), 16, 6)
        for i, head in enumerate(heads.multi_head):
            head.head.weight.set_value(golden[f"{case}/weight_{i}"])
        x = paddle.to_tensor(golden[f"{case}/x"], stop_gradient=False)
        out = heads(x)
        loss = F.binary_cross_entropy_with_logits(out, paddle.to_tensor(golden[f"{case}/target"]))
        loss.backward()
        logits.append(difference(out.numpy(), golden[f"{case}/logits"]))
        losses.append(difference(float(loss), golden[f"{case}/loss"]))
        gradients.append(difference(x.grad.numpy(), golden[f"{case}/grad_x"]))
        for i, head in enumerate(heads.multi_head):
            gradient = head.head.weight.grad.numpy()
            gradients.append(difference(gradient, golden[f"{case}/grad_weight_{i}"]))
    return [
        ("head, 20 cases: logits", 2e-5, max(logits)),
        ("head, 20 cases: loss", 5e-6, max(losses)),
        ("head, 20 cases: gradients of features and weights", 5e-6, max(gradients)),
    ]


def check_resnets(golden):
    """From photo file and .pth to logits, ResNet-101 with H = 4 and ResNet-18 with H = 1."""
    expected = np.load(golden / "resnet_forward.npz")
    rows = []
    for prefix, file, size, tolerance in (
        ("r101_448", "resnet101_csra_h4.pth.xz", 448, 1e-3),
        ("r18_224", RESNET18, 224, 5e-5),
    ):
        model, description = unpacked(golden / file)
        stages = {}
        for name in expected[f"{prefix}/stages"]:
            keep_statistics(getattr(model.backbone, str(name)), str(name), stages)
        photos = [
            transform(read_photo(golden / "photos" / str(name)), size)
            for name in expected[f"{prefix}/photos"]
        ]
        with paddle.no_grad():
            logits = model(normalize(np.stack(photos), **description["normalization"])).numpy()
        mean, std = (np.stack([values[i] for values in stages.values()], axis=1) for i in (0, 1))
        order, theirs = (np.argsort(-values, axis=1) for values in (logits, expected[f"{prefix}/logits"]))
        name = f"{description['model']}, {size} px, 4 photos"
        rows += [
            (f"{name}: logits", tolerance, difference(logits, expected[f"{prefix}/logits"])),
            (f"{name}: photos whose classes rank otherwise", 0, float(np.any(order != theirs, axis=1).sum())),
            (f"{name}: means of 8 stages", 1e-5, difference(mean, expected[f"{prefix}/stage_mean"])),
            (f"{name}: deviations of 8 stages", 1e-5, difference(std, expected[f"{prefix}/stage_std"])),
        ]
    return rows


def keep_statistics(layer, name, kept):
    """After the next forward pass, kept[name] = (means, deviations) of the layer's output by photo."""

    def keep(_, __, output):
        values = output.numpy().astype("float64").reshape(len(output), -1)
        kept[name] = values.mean(axis=1), values.std(axis=1, ddof=1)

    layer.register_forward_post_hook(keep)


def six_steps(golden):
    """ResNet-18 trained six steps by utils/training.py: (losses, tensors after step 6, after step 1)."""
    data = np.load(golden / "resnet18_six_steps.npz")
    model, _ = unpacked(golden / RESNET18)
    learner = Learner(model, make_optimizer(model, momentum=0.9, weight_decay=1e-4), PIXELS)
    losses, tensors = [], []
    for step in range(6):
        photos = data["photos_112"][data["batch_photo"][step]].copy()  # (4, 112, 112, 3) uint8
        flip = data["batch_flip"][step]
        photos[flip] = photos[flip, :, ::-1]
        loader = Ready(photos, data["targets"][step], len(photos))
        figures = train_epoch(learner, loader, lambda _: 0.01, step + 1, 100)
        losses.append(figures["loss"])
        tensors.append({name: value.numpy().copy() for name, value in model.state_dict().items()})
    return losses, tensors[-1], tensors[0]


def check_training(golden):
    """Six steps: losses, weights after the first (which sees weight decay) and after the last."""
    data = np.load(golden / "resnet18_six_steps.npz")
    losses, last, first = six_steps(golden)
    apart = np.abs(np.array(losses) - data["losses"])
    head, conv1, bn1 = "classifier.multi_head.0.head.weight", "backbone.conv1.weight", "backbone.bn1"
    bn2 = "backbone.layer4.1.bn2._variance"
    weight = data["classifier_weight_after"]
    corrected = unbiased(last[bn2], data["layer4_1_bn2_running_var_start"], count=4 * 4 * 4, steps=6)
    return [
        ("six training steps: loss 1", 1e-5, float(apart[0])),
        ("six training steps: loss 2", 1e-4, float(apart[1])),
        ("six training steps: losses 3 to 6", 1e-3, float(apart[2:].max())),
        ("after step 1: head", 5e-7, difference(first[head], data["classifier_weight_after_step1"])),
        ("after step 1: conv1", 5e-6, difference(first[conv1], data["conv1_weight_after_step1"])),
        ("after step 6: head", 1e-4, difference(last[head], weight)),
        ("after step 6: conv1", 8e-4, difference(last[conv1], data["conv1_weight_after"])),
        ("after step 6: bn1 mean", 3e-3, difference(last[f"{bn1}._mean"], data["bn1_running_mean_after"])),
        (
            "after step 6: bn1 variance",
            1e-3,
            difference(last[f"{bn1}._variance"], data["bn1_running_var_after"]),
        ),
        (
            "after step 6: layer4 variance, times n/(n-1)",
            0.3,
            difference(corrected, data["layer4_1_bn2_running_var_after"]),
        ),
    ]


def unbiased(variance, start, count, steps):
    """What PyTorch keeps: Paddle's running variance with each batch's share times n/(n-1)."""
    kept = 0.9**steps * start
    return kept + (variance - kept) * count / (count - 1)


def check_vit(_):
    """The small ViT of the golden data, also at 96 px through our interpolation."""
    expected = np.load(SMALL / "vit_tiny.npz")
    tensors = read_weights(SMALL / "vit_tiny.pth").tensors
    logits = {}
    for size, photos in ((64, "input"), (96, "input_96")):
        trunk = VisionTransformer(size, width=48, depth=2, num_heads=3)
        model = CSRAModel(trunk, MHA(2, 0.3, 48, 5))
        load_strict(model, tensors, "vit_tiny.pth")
        logits[size] = model(paddle.to_tensor(expected[photos])).numpy()
        if size == 64:
            features = trunk(paddle.to_tensor(expected[photos])).numpy()
    grid = resize_pos_embed(expected["pos_embed_4x4"], 37)
    wide = expected["logits_96_with_bicubic_pos_embed"]
    return [
        ("ViT, 64 px: features", 2e-5, difference(features, expected["features"])),
        ("ViT, 64 px: logits", 2e-5, difference(logits[64], expected["logits"])),
        ("ViT, position embedding 4x4 to 6x6", 2e-6, difference(grid, expected["pos_embed_6x6_bicubic"])),
        ("ViT, 96 px with our interpolation: logits", 2e-5, difference(logits[96], wide)),
    ]


def check_batches(golden):
    """A batch of four photos against one by one, for every H."""
    worst = 0
    paddle.seed(0)
    data = np.load(golden / "resnet18_six_steps.npz")["photos_112"]
    for num_heads in TEMPERATURES:
        model = build_model("resnet18", 20, num_heads, 0.5)
        model.eval()
        with paddle.no_grad():
            x = normalize(data, **PIXELS)
            alone = np.concatenate([model(photo[None]).numpy() for photo in x])
            worst = max(worst, difference(model(x).numpy(), alone))
    return [("batch of 4 against one by one, every H: logits", 1e-5, worst)]


def check_protocol(_):
    """AP in the golden cases (where equal scores leave no choice), and the learning rate."""
    worst = 0
    for case in json.loads((SMALL / "metrics.json").read_text())["cases"]:
        targets = np.array(case["targets"])
        labels = (targets == 1).astype("int8")
        if SPECS[case["types"]].test_ignored is not None:
            labels[targets == SPECS[case["types"]].test_ignored] = IGNORED
        ap = average_precision(np.array(case["scores"]), labels)
        for c, expected in enumerate(case["expected"]["ap_per_class"]):
            if expected is not None and str(c) not in case.get("tie_dependent_classes", {}):
                worst = max(worst, difference(ap[c], expected))
    rates = 0
    for table in json.loads((SMALL / "lr_schedule.json").read_text())["tables"]:
        settings = table["settings"]
        for epoch, iteration, rate, *_ in table["table"]:
            ours = learning_rate(
                epoch,
                iteration,
                base_lr=settings["base_lr"],
                iterations=settings["iterations_per_epoch"],
                total_epoch=settings["total_epoch"],
                step_size=settings["step_size"],
                warmup_epoch=settings["warmup_epoch"],
            )
            rates = max(rates, abs(ours - rate) / max(rate, 1e-12))
    return [
        ("metrics, 18 cases: AP of each class", 1e-9, worst),
        ("learning rate, 4 schedules of 84 steps (relative)", 2e-9, rates),
    ]


CHECKS = {  # name -> (function of the golden folder, whether it needs more than tests/golden)
    "head": (check_head, False),
    "resnets": (check_resnets, True),
    "training": (check_training, True),
    "vit": (check_vit, False),
    "batches": (check_batches, True),
    "protocol": (check_protocol, False),
}
