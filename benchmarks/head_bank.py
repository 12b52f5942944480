"""Many settings of CSRA heads trained at once on the same batches, each as it would be alone.

What costs time is one product, features times all weight rows; done for 25 settings at once it
takes half the time of 25 trainings. models/csra.py is the method; tests/benchmarks/test_head_bank.py
holds the two against each other.
"""

import math

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from tqdm import tqdm

from benchmarks.common import unnamed
from datasets.features import FeatureLoader
from models.csra import MAX, TEMPERATURES

MOMENTUM, WEIGHT_DECAY = 0.9, 1e-4


class HeadBank(nn.Layer):
    """K settings (H, lambda), their n heads side by side: maps (B, hw, D) -> logits (B, K, C).

    rates: learning rate of each setting, a factor of the optimizer's.
    """

    def __init__(self, settings, dim, classes, rates=None):
        super().__init__()
        heads = [(T, lam, k) for k, (H, lam) in enumerate(settings) for T in TEMPERATURES[H]]
        heads.sort(key=lambda head: head[0])  # the maxima, T = MAX, come last
        bound, rates = 1 / math.sqrt(dim), rates or [1.0] * len(settings)
        self.weights = nn.ParameterList(
            [
                self.create_parameter(
                    [classes, dim],
                    paddle.ParamAttr(
                        learning_rate=rates[k], initializer=nn.initializer.Uniform(-bound, bound)
                    ),
                )
                for _, _, k in heads
            ]
        )
        self.soft = sum(T != MAX for T, _, _ in heads)  # how many heads take a softmax
        self.T = _column([T for T, _, _ in heads[: self.soft]], classes)  # (soft * C, 1)
        self.lam = _column([lam for _, lam, _ in heads], classes)[:, 0]  # (n * C,)
        belongs = [[float(k == own) for _, _, own in heads] for k in range(len(settings))]
        self.belongs = paddle.to_tensor(belongs)  # (K, n)
        self.classes = classes

    def forward(self, x):
        weight = paddle.concat(list(self.weights))  # (n * C, D)
        weight = weight * (weight * weight).sum(axis=1, keepdim=True).rsqrt()  # norm()'s gradient is slow
        score = paddle.matmul(x, weight, transpose_y=True).transpose([0, 2, 1])  # (B, n * C, hw)
        soft, hard = score[:, : self.soft * self.classes], score[:, self.soft * self.classes :]
        att = [(F.softmax(self.T * soft, axis=2) * soft).sum(axis=2)]  # (B, soft * C)
        if hard.shape[1]:
            att.append(paddle.topk(hard, 1, axis=2)[0].squeeze(2))
        logits = score.mean(axis=2) + self.lam * paddle.concat(att, axis=1)  # (B, n * C)
        return paddle.matmul(self.belongs, logits.reshape([x.shape[0], -1, self.classes]))  # (B, K, C)


def _column(values, classes):
    return paddle.to_tensor(np.repeat(np.float32(values), classes)[:, None])


def train_bank(settings, rates, maps, labels, epochs, batch_size, seed, by_epoch=False):
    """Train all settings on maps (N, hw, D) and labels (N, C); returns the HeadBank.

    The rate falls along a cosine to 0, step by step, or only after each epoch.
    """
    paddle.seed(seed)
    bank = HeadBank(settings, maps.shape[2], labels.shape[1], rates)
    optimizer = paddle.optimizer.Momentum(0.0, MOMENTUM, bank.parameters(), weight_decay=WEIGHT_DECAY)
    loader = FeatureLoader(unnamed(labels), maps, batch_size=batch_size, shuffle=True, seed=seed)
    steps = epochs * len(loader)
    batches = (batch for epoch in range(epochs) for batch in loader.epoch(epoch))
    for step, batch in enumerate(tqdm(batches, total=steps, leave=False, disable=None)):
        done = step // len(loader) * len(loader) if by_epoch else step
        optimizer.set_lr(cosine(1.0, done, steps))
        logits = bank(paddle.to_tensor(batch.photos))  # (B, K, C)
        target = paddle.to_tensor(batch.labels.astype("float32")).unsqueeze(1).expand_as(logits)
        loss = F.binary_cross_entropy_with_logits(logits, target) * len(settings)  # the sum of K means
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    return bank


@paddle.no_grad()
def score_bank(bank, maps, batch_size):
    """Probabilities (K, N, C) of all settings."""
    parts = [
        F.sigmoid(bank(paddle.to_tensor(maps[start : start + batch_size]))).numpy()
        for start in range(0, len(maps), batch_size)
    ]
    return np.concatenate(parts).transpose(1, 0, 2)


def cosine(peak, done, steps):
    """The rate after `done` of `steps` steps, falling from `peak` to 0."""
    return peak * (1 + math.cos(math.pi * done / steps)) / 2
