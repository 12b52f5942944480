"""ResNet 18 to 152 as trunks: Paddle's own, without its pooling and its 1000-way fc."""

from functools import partial

from paddle.vision.models.resnet import BasicBlock, BottleneckBlock, ResNet


def make_resnet(depth):
    """A trunk: photos (B, 3, S, S) -> features (B, num_features, S/32, S/32), float32."""
    block = BasicBlock if depth < 50 else BottleneckBlock
    trunk = ResNet(block, depth, num_classes=0, with_pool=False)
    trunk.num_features = 512 * block.expansion
    return trunk


RESNETS = {f"resnet{depth}": partial(make_resnet, depth) for depth in (18, 34, 50, 101, 152)}
