"""Vision Transformers with 16-pixel patches as trunks (vit_b16, vit_l16).

Dosovitskiy et al., "An Image Is Worth 16x16 Words: Transformers for Image
Recognition at Scale", ICLR 2021; behaviour and parameter names are those of timm
and of the original CSRA (pipeline/vit_csra.py), but Paddle's Linear stores its
weight transposed, (inputs, outputs). B photos of S x S pixels, D the width, H
heads of d = D / H channels, N = (S / 16)**2 patches; token 0 is the class token.
"""

import math
from functools import partial

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

PATCH = 16  # pixels of a patch's side
EPSILON = 1e-6  # of LayerNorm, as timm; PyTorch's and Paddle's default is 1e-5
STD = 0.02  # of initial weights; timm cuts the normal distribution off at +-2, 100 times STD: not at all


class Attention(nn.Layer):
    """Multi-head self-attention over all tokens: (B, 1+N, D) -> (B, 1+N, D)."""

    def __init__(self, width, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = width // num_heads
        self.qkv = _linear(width, 3 * width)
        self.proj = _linear(width, width)

    def forward(self, x):
        qkv = self.qkv(x).reshape([0, 0, 3, self.num_heads, self.head_dim])  # (B, 1+N, 3, H, d)
        qkv = qkv.transpose([2, 0, 3, 1, 4])  # (3, B, H, 1+N, d)
        q, k, v = qkv[0], qkv[1], qkv[2]
        score = q @ k.transpose([0, 1, 3, 2]) * self.head_dim**-0.5  # (B, H, 1+N, 1+N)
        x = F.softmax(score, axis=-1) @ v  # (B, H, 1+N, d)
        return self.proj(x.transpose([0, 2, 1, 3]).flatten(2))  # (B, 1+N, D)


class Block(nn.Layer):
    """Attention, then two linear layers on each token, both residual and normalised first."""

    def __init__(self, width, num_heads, mlp_ratio):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, epsilon=EPSILON)
        self.attn = Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, epsilon=EPSILON)
        self.mlp = nn.Sequential(
            ("fc1", _linear(width, mlp_ratio * width)),
            ("act", nn.GELU()),  # the exact one, by erf
            ("fc2", _linear(mlp_ratio * width, width)),
        )

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Layer):
    """A trunk: photos (B, 3, S, S) -> features (B, num_features, S/16, S/16), float32.

    Only photos of side img_size fit (ValueError otherwise), as the position
    embedding belongs to it. The class token takes part in attention and is left out
    of the features. No dropout, as the original.
    """

    def __init__(self, img_size=224, patch_size=PATCH, *, width, depth, num_heads, mlp_ratio=4):
        super().__init__()
        if img_size < patch_size or img_size % patch_size:
            raise ValueError(f"img_size {img_size} must be a multiple of {patch_size}")
        self.img_size = img_size
        self.side = img_size // patch_size  # of the feature map
        self.num_features = width
        self.cls_token = self.create_parameter([1, 1, width], default_initializer=_normal())
        self.pos_embed = self.create_parameter([1, 1 + self.side**2, width], default_initializer=_normal())
        self.patch_embed = nn.Sequential(("proj", _patch_conv(width, patch_size)))
        self.blocks = nn.LayerList([Block(width, num_heads, mlp_ratio) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, epsilon=EPSILON)

    def forward(self, x):
        height, width = x.shape[2], x.shape[3]
        if height != self.img_size or width != self.img_size:
            raise ValueError(f"photos are {height} x {width} pixels, but img_size is {self.img_size}")
        x = self.patch_embed(x).flatten(2).transpose([0, 2, 1])  # (B, N, D)
        cls_token = self.cls_token.expand([x.shape[0], -1, -1])  # (B, 1, D)
        x = paddle.concat([cls_token, x], axis=1) + self.pos_embed  # (B, 1+N, D)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)[:, 1:]  # (B, N, D): the patches
        return x.transpose([0, 2, 1]).reshape([0, 0, self.side, self.side])  # (B, D, S/16, S/16)


def resize_pos_embed(pos_embed, positions):
    """A position embedding for another img_size: (1, 1+n, D) -> (1, positions, D), float32 arrays.

    positions counts the class token, whose row is kept; the others, a square grid,
    are resized bicubically. ValueError where n or positions - 1 makes no square.
    """
    if pos_embed.ndim != 3 or len(pos_embed) != 1:
        raise ValueError(f"the position embedding has shape {list(pos_embed.shape)}, not [1, 1+n, D]")
    old, new = _grid_side(pos_embed.shape[1]), _grid_side(positions)
    if old == new:
        return pos_embed
    grid = paddle.to_tensor(pos_embed[:, 1:].astype("float32"))  # (1, n, D)
    grid = grid.transpose([0, 2, 1]).reshape([1, -1, old, old])  # (1, D, old, old)
    grid = F.interpolate(grid, size=[new, new], mode="bicubic", align_corners=False)  # (1, D, new, new)
    grid = grid.flatten(2).transpose([0, 2, 1]).numpy()  # (1, positions - 1, D)
    return np.concatenate([pos_embed[:, :1].astype("float32"), grid], axis=1)


def _grid_side(positions):
    side = math.isqrt(max(positions - 1, 0))
    if side == 0 or side**2 != positions - 1:
        raise ValueError(f"{positions} positions are no class token and a square grid")
    return side


def _linear(inputs, outputs):
    return nn.Linear(inputs, outputs, weight_attr=paddle.ParamAttr(initializer=_normal()))  # zero bias


def _normal():
    return nn.initializer.Normal(std=STD)  # Paddle 2.6's TruncatedNormal would cut off at 2 * STD


def _patch_conv(width, patch_size):
    bound = 1 / math.sqrt(3 * patch_size**2)  # PyTorch's default, for the bias too
    init = paddle.ParamAttr(initializer=nn.initializer.Uniform(-bound, bound))
    return nn.Conv2D(3, width, patch_size, stride=patch_size, weight_attr=init, bias_attr=init)


VITS = {  # name -> function(img_size) that makes the trunk
    "vit_b16": partial(VisionTransformer, width=768, depth=12, num_heads=12),
    "vit_l16": partial(VisionTransformer, width=1024, depth=24, num_heads=16),
}
