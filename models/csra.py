"""Class-specific residual attention, the whole method.

Zhu & Wu, "Residual Attention: A Simple But Effective Method for Multi-Label
Recognition", ICCV 2021, section 3. B photos, D feature channels, C classes, a
feature map of h x w positions; x_j is the feature at position j, m_i the weight
row of class i.
"""

import math

import paddle
import paddle.nn.functional as F
from paddle import nn

MAX = 99  # the temperature that stands for the maximum (T -> infinity), as the reference writes it
TEMPERATURES = {  # number of heads -> temperature of each
    1: (1,),
    2: (1, MAX),
    4: (1, 2, 4, MAX),
    6: (1, 2, 3, 4, 5, MAX),
    8: (1, 2, 3, 4, 5, 6, 7, MAX),
}


class CSRA(nn.Layer):
    """One residual attention head: features (B, D, h, w) -> logits (B, C), float32.

    input_dim is D, num_classes is C, T > 0 the temperature (MAX: maximum over
    positions), lam >= 0 the weight of the attention (0: plain average pooling).
    """

    def __init__(self, input_dim, num_classes, T, lam):
        super().__init__()
        self.T = T
        self.lam = lam
        bound = 1 / math.sqrt(input_dim)  # the reference's (PyTorch's) default for a 1x1 convolution
        init = paddle.ParamAttr(initializer=nn.initializer.Uniform(-bound, bound))
        self.head = nn.Conv2D(input_dim, num_classes, 1, weight_attr=init, bias_attr=False)

    def score_map(self, x):
        """Class scores m_i . x_j / |m_i| at each position: (B, D, h, w) -> (B, C, h, w)."""
        norm = paddle.linalg.norm(self.head.weight, axis=1, keepdim=True)  # (C, 1, 1, 1)
        return self.head(x) / norm.transpose([1, 0, 2, 3])  # (B, C, h, w)

    def attention(self, score):
        """The weight of each position in att_logit, of the shape of the score map (B, C, h, w); sums to 1."""
        return self._attention(score.flatten(2)).reshape(score.shape)

    def _attention(self, score):
        if self.T == MAX:
            return F.one_hot(score.argmax(axis=2), score.shape[2])  # (B, C, h*w): T -> infinity
        return F.softmax(self.T * score, axis=2)  # (B, C, h*w), class-specific

    def logit(self, score):
        """Score map (B, C, h, w) -> logits (B, C)."""
        score = score.flatten(2)  # (B, C, h*w)
        base_logit = score.mean(axis=2)  # (B, C): average pooling, all positions alike
        if self.lam == 0:
            return base_logit
        att_logit = _maximum(score) if self.T == MAX else (self._attention(score) * score).sum(axis=2)
        return base_logit + self.lam * att_logit  # (B, C): residual attention

    def forward(self, x):
        return self.logit(self.score_map(x))  # (B, C)


def _maximum(score):
    """The maximum over positions, (B, C, h*w) -> (B, C); its gradient goes to one, as in the original.

    topk, since the gradient of Paddle's max takes ten times as long on a CPU; converters of
    exported models know max.
    """
    if not paddle.in_dynamic_mode():
        return score.max(axis=2)
    return paddle.topk(score, 1, axis=2)[0].squeeze(2)


class MHA(nn.Layer):
    """Multi-head attention: the sum of CSRA heads that differ in temperature.

    num_heads is one of TEMPERATURES (ValueError otherwise); features
    (B, D, h, w) of any h and w -> logits (B, C).
    """

    def __init__(self, num_heads, lam, input_dim, num_classes):
        super().__init__()
        if num_heads not in TEMPERATURES:
            raise ValueError(f"num_heads is {num_heads}; it must be one of {list(TEMPERATURES)}")
        if not lam >= 0:
            raise ValueError(f"lam is {lam}; it must be 0 or more")
        self.multi_head = nn.LayerList(
            [CSRA(input_dim, num_classes, T, lam) for T in TEMPERATURES[num_heads]]
        )

    def score_maps(self, x):
        """The score map of each head, a list of H tensors (B, C, h, w): what heat maps show."""
        return [head.score_map(x) for head in self.multi_head]

    def logits(self, maps):
        """Score maps, one for each head -> logits (B, C)."""
        pairs = zip(self.multi_head, maps)  # noqa: B905  (Paddle's export knows no strict=True)
        return sum(head.logit(score) for head, score in pairs)

    def forward(self, x):
        return self.logits(self.score_maps(x))  # (B, C)


class SharedMHA(MHA):
    """Residual attention at test time: heads of one trained weight, differing in temperature, averaged.

    The paper's "four lines" (section 3.2): attention for a linear classifier, by no
    training. head is the CSRA head with that weight, trained with lam = 0. The average,
    unlike MHA's sum, leaves the logits their scale.
    """

    def __init__(self, num_heads, lam, head):
        convolution = head.head
        num_classes, input_dim = convolution.weight.shape[:2]
        super().__init__(num_heads, lam, input_dim, num_classes)
        for own in self.multi_head:
            own.head = convolution

    def logits(self, maps):
        return super().logits(maps) / len(self.multi_head)  # (B, C)


def attend_at_test_time(heads, lam, num_heads=None):
    """Give an MHA that was trained with lam = 0 attention of weight `lam`, without training.

    num_heads: how many temperatures a single trained head gets (default 1); several
    trained heads keep their own (ValueError for another number). Returns the heads to use.
    """
    if len(heads.multi_head) == 1:
        return SharedMHA(num_heads or 1, lam, heads.multi_head[0])
    if num_heads not in (None, len(heads.multi_head)):
        raise ValueError(f"{len(heads.multi_head)} trained heads cannot become {num_heads}")
    for head in heads.multi_head:
        head.lam = lam
    return heads
