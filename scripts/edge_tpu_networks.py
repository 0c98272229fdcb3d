"""Networks of Coral's benchmark table as network files, each from its published definition.

Only those whose layers are published in full; `PARAMETERS` holds the published number of each, which the caller checks.
Batch norms and activations stand behind convolutions as published; on the Edge TPU they are part of them and free.
"""

# Learned values, two for each channel of a batch norm: torchvision (ResNet-50 v1), timm (EfficientNet-EdgeTPU, Inception),
# Keras (trainable ones; of ResNet v2 without the biases of its convolutions).
PARAMETERS = {
    "mobilenet-v1": 4_231_976,
    "resnet50-v1": 25_557_032,
    "resnet50-v2": 25_549_352,
    "resnet152-v2": 60_185_128,
    "inception-v4": 42_679_816,
    "efficientnet-edgetpu-s": 5_438_392,
    "efficientnet-edgetpu-m": 6_899_496,
}


class Net:
    """A network file, written node by node; a node is known by its name."""

    def __init__(self, name, side):
        self.lines = ["version: 1", f"name: {name}", f"input: [3, {side}, {side}]", "nodes:"]
        self.count = 0
        self.channels = {"input": 3}

    def node(self, op, inputs, channels):
        self.count += 1
        name = f"n{self.count}"
        self.lines.append(f"  - {{ name: {name}, op: {op}, inputs: [{', '.join(inputs)}] }}")
        self.channels[name] = channels
        return name

    def conv(self, x, out, kernel, stride=1, padding=None, groups=1, norm=True, act="relu", bias=False):
        side = f"kernel: {kernel}, stride: {stride}" + ("" if padding is None else f", padding: {padding}")
        op = f"{{ conv2d: {{ out-channels: {out}, {side}, groups: {groups}, bias: {str(bias).lower()} }} }}"
        x = self.node(op, [x], out)
        x = self.node("batch-norm", [x], out) if norm else x
        return self.node(act, [x], out) if act else x

    def norm_relu(self, x):
        return self.node("relu", [self.node("batch-norm", [x], self.channels[x])], self.channels[x])

    def pool(self, x, kind, kernel, stride, padding=0):
        op = f"{{ {kind}-pool: {{ kernel: {kernel}, stride: {stride}, padding: {padding} }} }}"
        return self.node(op, [x], self.channels[x])

    def add(self, *inputs):
        return self.node("add", inputs, self.channels[inputs[0]])

    def concat(self, *inputs):
        return self.node("concat", inputs, sum(self.channels[x] for x in inputs))

    def classes(self, x):
        x = self.node("global-average-pool", [x], self.channels[x])
        x = self.node("flatten", [x], self.channels[x])
        self.node("{ linear: { out-features: 1000 } }", [x], 1000)
        return "\n".join(self.lines) + "\n"


def mobilenet_v1():
    """Howard et al. 2017, arXiv 1704.04861, table 1."""
    net = Net("mobilenet-v1", 224)
    x = net.conv("input", 32, 3, 2)
    for out, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]:
        x = net.conv(x, net.channels[x], 3, stride, groups=net.channels[x])
        x = net.conv(x, out, 1)
    return net.classes(x)


def resnet_v1(depths, side):
    """He et al. 2015, arXiv 1512.03385, table 1; the last 3x3 convolution of a stage has its stride, as in TF-Slim."""
    net = Net("resnet-v1", side)
    x = net.pool(net.conv("input", 64, 7, 2), "max", 3, 2, 1)
    for stage, depth in enumerate(depths):
        width = 64 << stage
        for block in range(depth):
            stride = 2 if block == depth - 1 and stage < 3 else 1
            y = net.conv(net.conv(x, width, 1), width, 3, stride)
            y = net.conv(y, 4 * width, 1, act=None)
            if block == 0:
                x = net.conv(x, 4 * width, 1, stride, padding=0, act=None)
            elif stride == 2:
                x = net.pool(x, "max", 1, 2)
            x = net.node("relu", [net.add(y, x)], 4 * width)
    return net.classes(x)


def resnet_v2(depths, side):
    """He et al. 2016, arXiv 1603.05027: norm and activation first; strides as in TF-Slim."""
    net = Net("resnet-v2", side)
    x = net.pool(net.conv("input", 64, 7, 2, norm=False, act=None), "max", 3, 2, 1)
    for stage, depth in enumerate(depths):
        width = 64 << stage
        for block in range(depth):
            stride = 2 if block == depth - 1 and stage < 3 else 1
            first = net.norm_relu(x)
            y = net.conv(net.conv(first, width, 1), width, 3, stride)
            y = net.conv(y, 4 * width, 1, norm=False, act=None)
            if block == 0:
                x = net.conv(first, 4 * width, 1, stride, padding=0, norm=False, act=None)
            elif stride == 2:
                x = net.pool(x, "max", 1, 2)
            x = net.add(y, x)
    return net.classes(net.norm_relu(x))


def inception_v4():
    """Szegedy et al. 2016, arXiv 1602.07261, figures 3 to 9; input 299 x 299."""
    net = Net("inception-v4", 299)
    conv = net.conv
    x = conv(conv(conv("input", 32, 3, 2, 0), 32, 3, 1, 0), 64, 3)
    x = net.concat(net.pool(x, "max", 3, 2), conv(x, 96, 3, 2, 0))
    left = conv(conv(x, 64, 1), 96, 3, 1, 0)
    right = conv(conv(conv(conv(x, 64, 1), 64, [1, 7], padding=[0, 3]), 64, [7, 1], padding=[3, 0]), 96, 3, 1, 0)
    x = net.concat(left, right)
    x = net.concat(conv(x, 192, 3, 2, 0), net.pool(x, "max", 3, 2))
    for _ in range(4):
        towers = [conv(x, 96, 1), conv(conv(x, 64, 1), 96, 3), conv(conv(conv(x, 64, 1), 96, 3), 96, 3)]
        x = net.concat(*towers, conv(net.pool(x, "average", 3, 1, 1), 96, 1))
    towers = [conv(x, 384, 3, 2, 0), conv(conv(conv(x, 192, 1), 224, 3), 256, 3, 2, 0)]
    x = net.concat(*towers, net.pool(x, "max", 3, 2))

    def wide(y, out):
        return conv(y, out, [1, 7], padding=[0, 3])

    def tall(y, out):
        return conv(y, out, [7, 1], padding=[3, 0])

    for _ in range(7):
        towers = [conv(x, 384, 1), tall(wide(conv(x, 192, 1), 224), 256)]
        towers.append(wide(tall(wide(tall(conv(x, 192, 1), 192), 224), 224), 256))
        x = net.concat(*towers, conv(net.pool(x, "average", 3, 1, 1), 128, 1))
    towers = [conv(conv(x, 192, 1), 192, 3, 2, 0), conv(tall(wide(conv(x, 256, 1), 256), 320), 320, 3, 2, 0)]
    x = net.concat(*towers, net.pool(x, "max", 3, 2))
    for _ in range(3):
        one = conv(x, 384, 1)
        towers = [conv(x, 256, 1), conv(one, 256, [1, 3], padding=[0, 1]), conv(one, 256, [3, 1], padding=[1, 0])]
        two = conv(conv(conv(x, 384, 1), 448, [3, 1], padding=[1, 0]), 512, [1, 3], padding=[0, 1])
        towers += [conv(two, 256, [1, 3], padding=[0, 1]), conv(two, 256, [3, 1], padding=[1, 0])]
        x = net.concat(*towers, conv(net.pool(x, "average", 3, 1, 1), 256, 1))
    return net.classes(x)


def efficientnet_edgetpu(name, side, depth):
    """Gupta and Akin 2020, arXiv 2003.02838, and the code published with it: fused blocks first, then depthwise ones."""
    net = Net(name, side)
    x = net.conv("input", 32, 3, 2)
    stages = [
        ("fused", 1, 3, 1, 4, 24),
        ("fused", 2, 3, 2, 8, 32),
        ("fused", 4, 3, 2, 8, 48),
        ("depthwise", 5, 5, 2, 8, 96),
        ("depthwise", 4, 5, 1, 8, 144),
        ("depthwise", 2, 5, 2, 8, 192),
    ]
    for number, (kind, repeats, kernel, stride, expansion, out) in enumerate(stages):
        for block in range(-int(-repeats * depth // 1)):
            step = stride if block == 0 else 1
            # The first stage expands the width that it puts out and not the one that it reads, and has no shortcut.
            inner = expansion * (24 if number == 0 else net.channels[x])
            if kind == "fused":
                y = net.conv(x, inner, kernel, step)
            else:
                y = net.conv(net.conv(x, inner, 1), inner, kernel, step, groups=inner)
            y = net.conv(y, out, 1, act=None)
            x = net.add(y, x) if block > 0 and number > 0 else y
    return net.classes(net.conv(x, 1280, 1))


def networks():
    """The file of each network by its name."""
    return {
        "mobilenet-v1": mobilenet_v1(),
        "resnet50-v1": resnet_v1([3, 4, 6, 3], 299),
        "resnet50-v2": resnet_v2([3, 4, 6, 3], 299),
        "resnet152-v2": resnet_v2([3, 8, 36, 3], 299),
        "inception-v4": inception_v4(),
        "efficientnet-edgetpu-s": efficientnet_edgetpu("efficientnet-edgetpu-s", 224, 1.0),
        "efficientnet-edgetpu-m": efficientnet_edgetpu("efficientnet-edgetpu-m", 240, 1.1),
    }
