"""Networks as people write them, as PyTorch's TorchScript-based exporter leaves them: what the importer must cover besides plain layers.

    python bench/golden/onnx/more.py

Needs torch (2.x) and numpy. Writes tests/golden/onnx_import of mayfly-nn: `free` with a free batch, `one` and `four` for that many rows.
The outputs beside them are PyTorch's own, for four rows.
"""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "crates/mayfly-nn/tests/golden/onnx_import"
OPSET = 17
WRITTEN = ["causal-free", "causal-one", "cls-one", "cls-four", "chunk-free", "misc-free", "dw-free", "se-free", "tcn-one", "tcn-free"]


class SqueezeExcite(nn.Module):
    """Channels scaled by what a small network makes of their means."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.gate, self.out = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3))))[:, :, None, None]
        return self.out(x.mean((2, 3)))


class Chunk(nn.Module):
    """A gated unit with a table of positions."""

    def __init__(self):
        super().__init__()
        self.both, self.out, self.table = nn.Linear(6, 16), nn.Linear(8, 3), nn.Parameter(torch.randn(5, 8))

    def forward(self, x):
        a, b = self.both(x).chunk(2, -1)
        return F.log_softmax(self.out(a * torch.sigmoid(b) + self.table), -1)


class Causal(nn.Module):
    """Attention by hand, with a mask."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.register_buffer("mask", torch.tril(torch.ones(5, 5)) == 0)

    def forward(self, x):
        rows, time, width = x.shape
        q, k, v = (t.view(rows, time, 2, 4).transpose(1, 2) for t in self.qkv(x).split(8, -1))
        scores = ((q @ k.transpose(-2, -1)) * 0.5).masked_fill(self.mask, float("-inf"))
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, time, width))


class Misc(nn.Module):
    """Choices, maxima, clamps, norms, reversal."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        y = self.linear(x)
        z = torch.where(y > 0, y * y, torch.abs(x) + 1)
        z = torch.cat([z, y.max(-1, keepdim=True)[0], torch.clamp(x, -0.5, 0.5)], -1)
        return z / (1e-3 + z.norm(dim=-1, keepdim=True)) - z.flip(-1)


def depthwise():
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=4, stride=2, padding=1), nn.SiLU(), nn.Conv2d(8, 8, 1), nn.Hardswish(),
        nn.AvgPool2d(3, 1, 1), nn.MaxPool2d(2, 2), nn.Flatten(), nn.PReLU(), nn.LazyLinear(3),
    )  # fmt: skip


class ClassToken(nn.Module):
    """A transformer that reads its answer off a token of its own."""

    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 6, 8))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.out(self.encoder(x)[:, 0])


class ConvGru(nn.Module):
    """Dilated convolution, then a GRU both ways."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 8, 3, padding=2, dilation=2)
        self.gru, self.out = nn.GRU(8, 6, batch_first=True, bidirectional=True), nn.Linear(12, 1)

    def forward(self, x):
        y, _ = self.gru(F.elu(self.conv(x.transpose(1, 2))).transpose(1, 2))
        return self.out(y).squeeze(-1)


torch.manual_seed(0)
models = {
    "se": (SqueezeExcite(), (3, 6, 6)), "chunk": (Chunk(), (5, 6)), "causal": (Causal(), (5, 8)), "misc": (Misc(), (6,)),
    "dw": (depthwise(), (4, 12, 12)), "cls": (ClassToken(), (5, 8)), "tcn": (ConvGru(), (9, 3)),
}  # fmt: skip
FOLDER.mkdir(parents=True, exist_ok=True)
for name, (model, row) in models.items():
    model.eval()
    with torch.no_grad():
        model(torch.randn(2, *row))  # lazy layers find their sizes
        x = torch.randn(4, *row)
        y = model(x)
    for kind in ["free", "one", "four"]:
        if f"{name}-{kind}" not in WRITTEN:
            continue
        path = FOLDER / f"{name}-{kind}.onnx"
        free = {"dynamic_axes": {"i": {0: "batch"}, "o": {0: "batch"}}} if kind == "free" else {}
        example = x[:1] if kind == "one" else x
        torch.onnx.export(model, (example,), path, dynamo=False, opset_version=OPSET, input_names=["i"], output_names=["o"], **free)
        np.savez(path.with_suffix(".npz"), input_0=x.numpy(), output_0=y.numpy())
