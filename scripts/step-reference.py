#!/usr/bin/env python3
"""scripts/step-reference.py [--batch N] [--threads N] [--runs N]

Times one weight step of a differentiable search in plain PyTorch, the way such searches are commonly written: eager, f32,
every candidate of every edge at full width, outputs summed with Gumbel-softmax weights, SGD with momentum. The supernet
is that of search-spaces/cifar10-uboost.yaml at 128 channels: a stem, three cells of nine edges and eight candidates, a 2x2
pool behind each cell, one linear layer. Prints one JSON line in the form of `cargo bench --bench step`, which runs this
script where PYTHON names an interpreter with PyTorch. Give both the same version of libtorch for a fair comparison.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

WIDTH = 128
CLASSES = 10


def conv(width_in, width_out, kernel, dilation=1, groups=1):
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(width_in, width_out, kernel, padding=padding, dilation=dilation, groups=groups, bias=False),
        nn.BatchNorm2d(width_out),
        nn.ReLU(),
    )


def separable(width, kernel):
    return nn.Sequential(conv(width, width, kernel, groups=width), conv(width, width, 1))


class Zero(nn.Module):
    def forward(self, x):
        return x * 0.0


class Edge(nn.Module):
    """All candidates, summed with the mixing weights."""

    def __init__(self, width):
        super().__init__()
        kernels = (3, 5)
        self.candidates = nn.ModuleList(
            [conv(width, width, k) for k in kernels]
            + [separable(width, k) for k in kernels]
            + [conv(width, width, k, dilation=2) for k in kernels]
            + [nn.Identity(), Zero()]
        )

    def forward(self, x, weights):
        return sum(weight * candidate(x) for weight, candidate in zip(weights, self.candidates))


class Cell(nn.Module):
    def __init__(self, width, reduce_before):
        super().__init__()
        self.last = conv(width, width, 3)
        self.before = conv(width, width, 3)
        # Where the cell before pooled, the map before it is twice as large.
        self.before[0].stride = (2, 2) if reduce_before else (1, 1)
        self.edges = nn.ModuleList([Edge(width) for _ in range(9)])

    def forward(self, before, last, weights):
        states = [self.last(last), self.before(before)]
        edge = 0
        for _ in range(3):
            total = 0
            for state in list(states):
                total = total + self.edges[edge](state, weights[edge])
                edge += 1
            states.append(total)
        return states[-1]


class Supernet(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.stem = nn.Sequential(conv(3, width, 3), nn.MaxPool2d(2))
        self.cells = nn.ModuleList([Cell(width, reduce_before=number > 0) for number in range(3)])
        self.pool = nn.MaxPool2d(2)
        self.classifier = nn.Linear(width * 2 * 2, CLASSES)
        self.alpha = nn.Parameter(torch.randn(9, 8), requires_grad=False)

    def forward(self, images):
        weights = F.gumbel_softmax(self.alpha, tau=1.0)
        before = last = self.stem(images)
        for cell in self.cells:
            before, last = last, self.pool(cell(before, last, weights))
        return self.classifier(last.flatten(1))


def peak_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    net = Supernet(WIDTH)
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    sgd = torch.optim.SGD(weights, lr=0.05, momentum=0.9, weight_decay=3e-4)
    images = torch.randn(given.batch, 3, 32, 32)
    labels = torch.randint(CLASSES, (given.batch,))
    seconds = []
    for run in range(given.runs + 1):
        began = time.perf_counter()
        sgd.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        sgd.step()
        if run > 0:
            seconds.append(time.perf_counter() - began)
    print(
        json.dumps(
            {
                "figure": "weight step, plain PyTorch, f32",
                "torch": torch.__version__,
                "batch": given.batch,
                "threads": given.threads,
                "runs": given.runs,
                "seconds": round(statistics.median(seconds), 4),
                "least": round(min(seconds), 4),
                "most": round(max(seconds), 4),
                "peak_bytes": peak_bytes(),
            }
        )
    )


if __name__ == "__main__":
    main()
