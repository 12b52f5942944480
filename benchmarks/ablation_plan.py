"""Which trainings benchmarks/ablation.py makes."""

import numpy as np

MODEL = "efficientnet_lite0"
SIZES = (224, 320)  # pixels
HEADS = (1, 2, 4, 6, 8)
LAMBDAS = (0, 0.1, 0.2, 0.3, 0.5, 1.0)
SEEDS = (0, 1, 2)
BATCH = 64
CHOICE = ((0.3, 5), (0.1, 10), (0.3, 10), (1.0, 10))  # learning rate and epochs
ORIGINAL = {  # size -> (H, lambda) -> mAP12 of the original head, learning rate 0.3, 10 epochs, one seed
    224: {(1, 0): 59.1, (1, 0.1): 60.3, (1, 0.3): 60.1, (1, 1.0): 44.0, (2, 0.2): 63.2,
          (4, 0): 60.9, (4, 0.1): 62.1, (4, 0.5): 50.0},
    320: {(1, 0): 56.7, (1, 0.1): 59.3, (1, 0.3): 62.2, (1, 1.0): 48.6, (2, 0.2): 69.5,
          (4, 0): 65.5, (4, 0.1): 67.7, (4, 0.5): 58.8},
}  # fmt: skip


def wanted(stage, done):
    """The trainings of a stage: dicts of stage, size, kind, seed, lr and epochs. done: lines of others."""
    if stage == "reference":
        return [
            dict(stage=stage, size=size, kind=["csra", H, lam], seed=seed, lr=0.3, epochs=10)
            for size in SIZES for seed in SEEDS for H, lam in ORIGINAL[size]
        ]  # fmt: skip
    if stage == "choose":
        return [
            dict(stage=stage, size=SIZES[0], kind=["csra", H, lam], seed=SEEDS[0], lr=lr, epochs=epochs)
            for lr, epochs in CHOICE for H in HEADS for lam in (0, 0.2)
        ]  # fmt: skip
    kinds = [["csra", H, lam] for H in HEADS for lam in LAMBDAS]
    if stage == "baselines":
        kinds = [["linear"], *(["scaled", factor] for factor in HEADS[1:])]
    chosen = chosen_settings(done)
    return [
        dict(stage=stage, size=size, kind=kind, seed=seed, **chosen[1 if kind == ["linear"] else kind[1]])
        for size in SIZES for seed in SEEDS for kind in kinds
    ]  # fmt: skip


def chosen_settings(done):
    """{H: {"lr", "epochs"}}, the best mean over lambda on a part of the training split."""
    found = {}
    for line in done:
        if line["stage"] == "choose":
            by = found.setdefault(line["kind"][1], {})
            by.setdefault((line["lr"], line["epochs"]), []).append(line["mAP"])
    best = {H: max(by, key=lambda setting, by=by: np.mean(by[setting])) for H, by in found.items()}
    return {H: dict(lr=lr, epochs=epochs) for H, (lr, epochs) in best.items()}


def name_of(line):
    """One word for a training."""
    kind = "_".join(map(str, line["kind"]))
    return "{stage}_{size}_{word}_lr{lr}_e{epochs}_s{seed}".format(word=kind, **line)
