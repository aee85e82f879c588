"""Makes the ONNX golden fixtures: networks as PyTorch's two exporters and skl2onnx write them, with inputs and ONNX Runtime's outputs.

usage: python generate.py OUT_DIR        (README.md has the environment)

Weights come from a fixed seed, so a second run with the same package versions gives the same networks.
"""

import math
import os
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import nn

warnings.filterwarnings("ignore")
OUT = sys.argv[1]
OPSET = 17
LIMIT_BYTES = 60_000
# TorchScript-based and torch.export-based with a free batch dimension, and TorchScript-based as most people call it: batch fixed to the example's
EXPORTERS = ("ts", "dynamo", "fixed")
FIXED_TOO = ("mlp", "cnn", "lstm", "encoder")


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 6))
        self.out = nn.Linear(6, 2)

    def forward(self, x):
        return self.out(x + self.inner(x))


class Activations(nn.Module):
    """One layer for each activation function, and a softmax at the end."""

    def __init__(self):
        super().__init__()
        kinds = [nn.Sigmoid(), nn.Tanh(), nn.LeakyReLU(0.1), nn.ELU(0.7), nn.SELU(), nn.SiLU(), nn.Mish(), nn.Softplus(), nn.Hardswish(), nn.GELU("tanh")]
        self.steps = nn.Sequential(*[m for k in kinds for m in (nn.Linear(5, 5), k)])

    def forward(self, x):
        return torch.softmax(self.steps(x), dim=-1)


class Cnn(nn.Module):
    """Two convolutions. The first norm can be folded into its convolution, the second, after a ReLU, cannot."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, stride=1), nn.ReLU(), nn.BatchNorm2d(6), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 10))

    def forward(self, x):
        return self.body(x)


class Conv1d(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(2, 6, 5, padding=4, dilation=2), nn.GELU(), nn.Conv1d(6, 4, 3, stride=2, groups=2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
            nn.Linear(4, 3))

    def forward(self, x):
        return self.body(x)


class Recurrent(nn.Module):
    """A recurrent layer over a sequence, and a dense layer on its last step."""

    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = kind(3, 8, batch_first=True, **options)
        self.out = nn.Linear(8 * (2 if options.get("bidirectional") else 1), 2)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.out(y[:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, activation="gelu", batch_first=True)

    def forward(self, x):
        return self.layer(x)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        y, _ = self.attention(x, x, x, need_weights=False)
        return self.norm(x + y)


class TextClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.out = nn.Linear(6, 3)

    def forward(self, tokens):
        return self.out(self.embed(tokens).mean(dim=1))


def torch_models():
    mlp = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 3))
    rows = lambda *shape: torch.randn(4, *shape)
    return {
        "mlp": (mlp, rows(4)),
        "residual": (Residual(), rows(6)),
        "activations": (Activations(), rows(5)),
        "cnn": (Cnn(), rows(1, 12, 12)),
        "conv1d": (Conv1d(), rows(2, 15)),
        "rnn": (Recurrent(nn.RNN), rows(7, 3)),
        "lstm": (Recurrent(nn.LSTM), rows(7, 3)),
        "lstm-bidirectional": (Recurrent(nn.LSTM, num_layers=2, bidirectional=True), rows(7, 3)),
        "gru": (Recurrent(nn.GRU, num_layers=2), rows(7, 3)),
        "encoder": (Encoder(), rows(5, 16)),
        "attention": (SelfAttention(), rows(5, 8)),
        "embedding": (TextClassifier(), torch.randint(0, 20, (4, 6))),
    }


def randomise(model):
    """Statistics and scales of norms are 0 and 1 after construction, which would hide mistakes."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def without_traces(path):
    """The dynamo exporter notes the Python stack of every node, with the paths of this machine."""
    model = onnx.load(path)
    strip = lambda item: [item.metadata_props.remove(p) for p in list(item.metadata_props) if "stack_trace" in p.key]
    for node in model.graph.node:
        node.doc_string = ""
        strip(node)
    for group in (model.graph.input, model.graph.output, model.graph.value_info, model.graph.initializer, [model.graph]):
        for item in group:
            strip(item)
    for key in ("stack_trace",):
        [model.metadata_props.remove(p) for p in list(model.metadata_props) if key in p.key]
    onnx.save(model, path)


def run(path, inputs):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [o.name for o in session.get_outputs()], session.run(None, inputs)


def record(name, inputs, outputs):
    arrays = {f"input_{i}": a for i, a in enumerate(inputs)}
    arrays |= {f"output_{i}": a for i, a in enumerate(outputs)}
    np.savez(os.path.join(OUT, name + ".npz"), **arrays)
    size = os.path.getsize(os.path.join(OUT, name + ".onnx"))
    assert size <= LIMIT_BYTES, (name, size)
    print(f"{name}: {size} bytes")


def export_torch(name, model, x, exporter):
    path = os.path.join(OUT, name + ".onnx")
    names = {"input_names": ["input"], "output_names": ["output"]}
    if exporter == "dynamo":
        torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False, **names)
        without_traces(path)
    else:
        free = {} if exporter == "fixed" else {"dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}}}
        torch.onnx.export(model, (x,), path, dynamo=False, opset_version=OPSET, **names, **free)
    _, outputs = run(path, {"input": x.numpy()})
    with torch.no_grad():
        difference = (model(x) - torch.from_numpy(outputs[0])).abs().max().item()
    assert difference < 1e-5, (name, difference)
    record(name, [x.numpy()], outputs)


def export_all_torch():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    for name, (model, x) in torch_models().items():
        randomise(model)
        model.eval()
        for exporter in EXPORTERS if name in FIXED_TOO else EXPORTERS[:2]:
            export_torch(f"torch-{exporter}-{name}", model, x, exporter)


def export_sklearn():
    from skl2onnx import to_onnx
    from sklearn.datasets import load_diabetes, load_iris
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    iris, diabetes = load_iris(), load_diabetes()
    names = iris.target_names[iris.target]
    two = iris.target < 2
    plain = {"zipmap": False}
    mlp = lambda **o: MLPClassifier(hidden_layer_sizes=(8,), max_iter=300, random_state=1, **o)
    models = {
        "mlp-classifier": (mlp().fit(iris.data, iris.target), iris.data, None),
        "mlp-classifier-binary": (mlp(activation="tanh").fit(iris.data[two], iris.target[two]), iris.data[two], plain),
        "mlp-classifier-strings": (mlp(activation="logistic").fit(iris.data, names), iris.data, plain),
        "mlp-regressor": (MLPRegressor(hidden_layer_sizes=(8, 4), max_iter=300, random_state=1).fit(diabetes.data * 20, diabetes.target / 100), diabetes.data * 20, None),
        "pipeline": (make_pipeline(StandardScaler(), mlp()).fit(iris.data, iris.target), iris.data, plain),
        "pipeline-minmax": (make_pipeline(MinMaxScaler(), MLPRegressor(hidden_layer_sizes=(6,), activation="tanh", max_iter=300, random_state=1)).fit(
            diabetes.data, diabetes.target / 100), diabetes.data, None),
        "logistic": (LogisticRegression(max_iter=500).fit(iris.data, iris.target), iris.data, None),
        "linear": (LinearRegression().fit(diabetes.data, diabetes.target), diabetes.data, None),
    }
    for name, (model, data, options) in models.items():
        name = "sklearn-" + name
        x = data[::17][:8].astype(np.float32)
        onx = to_onnx(model, x, target_opset={"": OPSET, "ai.onnx.ml": 3}, options={id(model): options} if options else None)
        path = os.path.join(OUT, name + ".onnx")
        onnx.save(onx, path)
        _, outputs = run(path, {"X": x})
        plain_arrays = [table(o) for o in outputs]
        check_sklearn(name, model, x, plain_arrays)
        record(name, [x], plain_arrays)


def table(output):
    """ZipMap gives a list of dictionaries: its values, in the order of the classes."""
    if isinstance(output, list):
        return np.array([list(row.values()) for row in output], dtype=np.float32)
    return output if output.dtype != object else output.astype("U")


def check_sklearn(name, model, x, outputs):
    if hasattr(model, "predict_proba"):
        assert (outputs[0] == model.predict(x)).all(), name
        want, got = model.predict_proba(x), outputs[1]
    else:
        want, got = model.predict(x), outputs[0][:, 0]
    assert np.abs(want - got).max() < 1e-4 * max(1.0, np.abs(want).max()), (name, np.abs(want - got).max())


os.makedirs(OUT, exist_ok=True)
export_all_torch()
export_sklearn()
