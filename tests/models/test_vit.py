"""The Vision Transformer trunk: equal to the original's figures, timm's names, other image sizes."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from models import CSRAModel
from models.csra import MHA
from models.loading import load_strict
from models.vit import VITS, Attention, VisionTransformer, resize_pos_embed
from utils.weights import read_weights

PTH = str(Path(__file__).parents[1] / "golden/vit_tiny.pth")
TINY = dict(width=48, depth=2, num_heads=3, mlp_ratio=4)
WEIGHTS = {"vit_b16": 85_798_656, "vit_l16": 303_301_632}  # the published figures less their 1000-way head


def make_tiny(img_size=64, seed=0):
    paddle.seed(seed)
    model = CSRAModel(VisionTransformer(img_size, **TINY), MHA(2, 0.3, 48, 5))
    model.eval()
    return model


def load_tiny(img_size=64, **changes):
    """The original's model of the golden data; changes: other values of some trunk parameters."""
    tensors = dict(read_weights(PTH).tensors)
    tensors.update({f"backbone.{name}": value for name, value in changes.items()})
    model = make_tiny(img_size)
    load_strict(model, tensors, PTH)
    return model


@pytest.fixture(scope="module")
def expected(golden):
    return dict(golden("vit_tiny.npz"))


@pytest.fixture(scope="module")
def ours(expected):
    """One forward and backward pass on the golden photos, with what passes between the layers."""
    model, seen = load_tiny(), SimpleNamespace()

    def keep(name, layer):
        layer.register_forward_post_hook(lambda layer, x, y: setattr(seen, name, y))

    keep("patch_embed", model.backbone.patch_embed)
    keep("block0", model.backbone.blocks[0])
    keep("norm", model.backbone.norm)
    keep("features", model.backbone)
    seen.model = model
    seen.logits = model(paddle.to_tensor(expected["input"]))
    seen.loss = F.binary_cross_entropy_with_logits(seen.logits, paddle.to_tensor(expected["target"]))
    seen.loss.backward()
    return seen


def photos(side=64, count=2, seed=0):
    values = np.random.default_rng(seed).standard_normal((count, 3, side, side), dtype=np.float32)
    return paddle.to_tensor(values)


def embedding(side, width=8, seed=0):
    shape = (1, 1 + side**2, width)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def assert_close(ours, expected, atol):
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=atol)


# --- the original's figures


def test_forward_equals_the_original(ours, expected):
    patches = ours.patch_embed.flatten(2).transpose([0, 2, 1])
    assert_close(patches.numpy(), expected["patch_embed_out"], 2e-5)
    assert_close(ours.block0.numpy(), expected["block0_out"], 2e-5)
    assert_close(ours.norm.numpy(), expected["norm_out"], 2e-5)
    assert_close(ours.features.numpy(), expected["features"], 2e-5)
    assert_close(ours.logits.numpy(), expected["logits"], 2e-5)
    assert_close(ours.logits.numpy(), expected["logits_f64"], 2e-5)
    assert ours.features.dtype == paddle.float32


def test_loss_and_gradients_equal_the_original(ours, expected):
    trunk = ours.model.backbone
    assert float(ours.loss) == pytest.approx(float(expected["loss"]), rel=0, abs=1e-6)
    assert_close(trunk.pos_embed.grad.numpy(), expected["grad_pos_embed"], 1e-6)
    assert_close(trunk.blocks[0].attn.qkv.weight.grad.numpy().T, expected["grad_qkv0_weight"], 1e-6)


def test_position_embedding_resized_as_pytorch(expected):
    resized = resize_pos_embed(expected["pos_embed_4x4"], 37)
    assert_close(resized, expected["pos_embed_6x6_bicubic"], 2e-6)


def test_another_image_size_equals_the_original_at_that_size(expected):
    model = load_tiny(96, pos_embed=resize_pos_embed(expected["pos_embed_4x4"], 37))
    logits = model(paddle.to_tensor(expected["input_96"]))
    assert_close(logits.numpy(), expected["logits_96_with_bicubic_pos_embed"], 2e-5)


# --- the trunk


def test_a_photo_has_the_same_logits_alone_and_in_a_batch(ours, expected):
    alone = [ours.model(paddle.to_tensor(photo[None])).numpy() for photo in expected["input"]]
    assert_close(ours.logits.numpy(), np.concatenate(alone), 1e-5)


@pytest.mark.parametrize("num_heads", [1, 2, 4])  # the golden model has 3, as many as q, k and v
def test_attention_equals_the_formula_of_the_paper(num_heads):
    layer, d = Attention(8, num_heads), 8 // num_heads
    layer.qkv.weight.set_value(20 * layer.qkv.weight)  # attention that is far from uniform
    x = np.random.default_rng(0).standard_normal((2, 5, 8), dtype=np.float32)
    qkv = x @ layer.qkv.weight.numpy()  # (B, 1+N, 3 * D): all of q, then k, then v, head by head
    parts = []
    for i in range(num_heads):
        q, k, v = (qkv[:, :, start + i * d : start + (i + 1) * d] for start in (0, 8, 16))
        share = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(d))
        parts.append(share / share.sum(axis=2, keepdims=True) @ v)
    expected = np.concatenate(parts, axis=2) @ layer.proj.weight.numpy()
    assert_close(layer(paddle.to_tensor(x)).numpy(), expected, 1e-6)


@pytest.mark.parametrize("img_size", [16, 64, 112])
def test_features_by_image_size(img_size):
    trunk, side = make_tiny(img_size).backbone, img_size // 16
    assert trunk.num_features == 48
    assert trunk.pos_embed.shape == [1, 1 + side**2, 48]
    assert trunk(photos(img_size)).shape == [2, 48, side, side]


def test_the_class_token_takes_part_in_attention_but_is_no_feature():
    model, x = make_tiny(), photos()
    before = model.backbone(x).numpy()
    last = model.backbone.norm.register_forward_post_hook(
        lambda layer, x, y: paddle.concat([y[:, :1] + 1e3, y[:, 1:]], axis=1)
    )
    np.testing.assert_array_equal(model.backbone(x).numpy(), before)
    last.remove()
    model.backbone.cls_token.set_value(model.backbone.cls_token + paddle.linspace(-1, 1, 48))
    change = np.abs(model.backbone(x).numpy() - before).max(axis=1)  # (B, S/16, S/16)
    assert (change > 1e-4).all()


def test_an_exported_trunk_takes_any_number_of_photos(tmp_path):
    trunk = make_tiny(32).backbone
    spec = paddle.static.InputSpec([None, 3, 32, 32], "float32")
    paddle.jit.save(paddle.jit.to_static(trunk, [spec], full_graph=True), str(tmp_path / "trunk"))
    exported = paddle.jit.load(str(tmp_path / "trunk"))
    for count in (1, 3):
        x = photos(32, count)
        assert_close(exported(x).numpy(), make_tiny(32).backbone(x).numpy(), 1e-5)


@pytest.mark.parametrize(("height", "width"), [(96, 96), (64, 96), (96, 64), (32, 128), (65, 65)])
def test_a_photo_of_another_size_is_refused(height, width):
    with pytest.raises(ValueError, match=f"photos are {height} x {width} pixels, but img_size is 64"):
        make_tiny()(paddle.zeros([1, 3, height, width]))


@pytest.mark.parametrize("img_size", [8, 65, 0, -16])
def test_an_image_size_that_is_no_multiple_of_the_patch_is_refused(img_size):
    with pytest.raises(ValueError, match=f"img_size {img_size} must be a multiple of 16"):
        VisionTransformer(img_size, **TINY)


@pytest.mark.parametrize(("name", "width", "depth"), [("vit_b16", 768, 12), ("vit_l16", 1024, 24)])
def test_names_and_shapes_are_timms_with_linear_weights_transposed(name, width, depth):
    shapes = {"cls_token": [1, 1, width], "pos_embed": [1, 1 + 28 * 28, width]}
    shapes |= {"patch_embed.proj.weight": [width, 3, 16, 16], "patch_embed.proj.bias": [width]}
    linear = {
        "attn.qkv": (width, 3 * width),
        "attn.proj": (width, width),
        "mlp.fc1": (width, 4 * width),
        "mlp.fc2": (4 * width, width),
    }
    for i in range(depth):
        for layer, (inputs, outputs) in linear.items():
            shapes[f"blocks.{i}.{layer}.weight"] = [inputs, outputs]
            shapes[f"blocks.{i}.{layer}.bias"] = [outputs]
    for layer in ["norm"] + [f"blocks.{i}.norm{j}" for i in range(depth) for j in (1, 2)]:
        shapes |= {f"{layer}.weight": [width], f"{layer}.bias": [width]}

    with paddle.LazyGuard():  # names and shapes without the memory
        trunk = VITS[name](img_size=448)
    assert {key: value.shape for key, value in trunk.state_dict().items()} == shapes
    assert trunk.num_features == width
    assert {block.attn.head_dim for block in trunk.blocks} == {64}
    numbers = sum(math.prod(shape) for shape in shapes.values())
    assert numbers - (28 * 28 - 14 * 14) * width == WEIGHTS[name]  # published at 224 px


def test_the_table_holds_the_trunks_of_the_readme():
    assert list(VITS) == list(WEIGHTS)


# --- weights at the start


def test_weights_start_as_in_timm():
    paddle.seed(3)
    trunk = VisionTransformer(224, width=96, depth=1, num_heads=3)
    block = trunk.blocks[0]
    linear = [block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2]
    for values in [trunk.pos_embed, *(layer.weight for layer in linear)]:
        assert float(values.std()) == pytest.approx(0.02, rel=0.05)
        assert float(values.abs().max()) > 0.05  # 2.5 deviations: timm's cut-off is out of reach
    assert float(trunk.cls_token.std()) == pytest.approx(0.02, rel=0.3)
    assert not any(layer.bias.numpy().any() for layer in linear)
    for norm in (block.norm1, block.norm2, trunk.norm):
        assert (norm.weight.numpy() == 1).all()
        assert (norm.bias.numpy() == 0).all()


def test_patch_weights_start_uniform_within_one_over_root_of_their_inputs():
    proj, bound = make_tiny().backbone.patch_embed.proj, 1 / math.sqrt(3 * 16 * 16)
    for values in (proj.weight.numpy(), proj.bias.numpy()):
        assert np.abs(values).max() <= bound
        assert values.max() > 0.8 * bound
        assert values.min() < -0.8 * bound
    assert proj.weight.numpy().std() == pytest.approx(bound / math.sqrt(3), rel=0.05)


# --- resizing a position embedding


def test_the_same_size_stays_as_it_is():
    start = embedding(5)
    np.testing.assert_array_equal(resize_pos_embed(start, 26), start)


@pytest.mark.parametrize(("old", "new"), [(14, 28), (14, 24), (24, 14), (1, 3), (5, 1)])
def test_resizing_keeps_the_class_token_and_a_constant_grid(old, new):
    start = embedding(old)
    start[:, 1:] = start[:, 1:2]
    resized = resize_pos_embed(start, 1 + new**2)
    assert resized.dtype == np.float32
    assert resized.shape == (1, 1 + new**2, 8)
    np.testing.assert_array_equal(resized[:, 0], start[:, 0])
    assert_close(resized[:, 1:], np.repeat(start[:, 1:2], new**2, axis=1), 1e-5)


def test_resizing_treats_rows_and_columns_alike_and_channels_apart():
    start = embedding(4)
    grid = start[:, 1:].reshape(1, 4, 4, 8)
    turned = np.concatenate([start[:, :1], grid.transpose(0, 2, 1, 3).reshape(1, 16, 8)], axis=1)
    resized = resize_pos_embed(start, 50)
    expected = resized[:, 1:].reshape(1, 7, 7, 8).transpose(0, 2, 1, 3).reshape(1, 49, 8)
    assert_close(resize_pos_embed(turned, 50)[:, 1:], expected, 1e-5)
    assert_close(resize_pos_embed(start[:, :, 2:3], 50), resized[:, :, 2:3], 1e-6)


@pytest.mark.parametrize("wrong", [18, 16, 1, 0])
def test_a_grid_that_is_no_square_is_refused(wrong):
    said = f"{wrong} positions are no class token and a square grid"
    with pytest.raises(ValueError, match=said):
        resize_pos_embed(embedding(4), wrong)
    with pytest.raises(ValueError, match=said):
        resize_pos_embed(np.zeros((1, wrong, 8), "float32"), 17)


@pytest.mark.parametrize("shape", [(17, 8), (2, 17, 8), (1, 17, 8, 1), ()])
def test_what_is_no_position_embedding_is_refused(shape):
    with pytest.raises(ValueError, match="the position embedding has shape"):
        resize_pos_embed(np.zeros(shape, "float32"), 17)
