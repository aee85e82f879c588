"""Golden values of layers, losses and optimisers from PyTorch, for crates/mayfly-nn/tests/golden/torch.json.

    python bench/golden/nn/layers.py > crates/mayfly-nn/tests/golden/torch.json

Parameters and inputs are rounded to f32; PyTorch computes in f64, so what differs is our rounding.
A case holds a network in our format, its parameters by our names, inputs, targets, and PyTorch's outputs, loss and gradients.
"""
import json
import math

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)


def rounded(t):
    return t.detach().to(torch.float32).to(torch.float64)


def numbers(t):
    return [float(f"{v:.8g}") for v in t.detach().reshape(-1).tolist()]


def set_up(module):
    for p in module.parameters():
        p.data = rounded(torch.randn_like(p) * 0.4)
    return module


def plain(module, prefix):
    return {f"{prefix}.{name}": p for name, p in module.named_parameters()}


def grad(p):
    return p.grad if p.grad is not None else torch.zeros_like(p)


class Named:
    """Our parameter: its value and gradient from PyTorch's."""

    def __init__(self, value, gradient):
        self.value, self.gradient = value, gradient


def by_name(names):
    """Parameters that are the same in PyTorch and here."""
    return {ours: Named(lambda p=p: p, lambda p=p: grad(p)) for ours, p in names.items()}


def recurrent(module, prefix):
    names = by_name({f"{prefix}.weight_ih": module.weight_ih_l0, f"{prefix}.weight_hh": module.weight_hh_l0})
    b_ih, b_hh = module.bias_ih_l0, module.bias_hh_l0
    if isinstance(module, nn.GRU):
        h = module.hidden_size
        keep = torch.cat([torch.ones(2 * h), torch.zeros(h)])
        names[f"{prefix}.bias"] = Named(lambda: rounded(b_ih + b_hh * keep), lambda: grad(b_ih))
        names[f"{prefix}.bias_hn"] = Named(lambda: b_hh[2 * h:], lambda: grad(b_hh)[2 * h:])
        # What PyTorch computes with must be what is written down.
        b_ih.data = rounded(b_ih + b_hh * keep)
        b_hh.data = b_hh.data * (1 - keep)
    else:
        b_ih.data = rounded(b_ih + b_hh)
        b_hh.data = torch.zeros_like(b_hh)
        names[f"{prefix}.bias"] = Named(lambda: b_ih, lambda: grad(b_ih))
    return names


def attention(module, prefix):
    e = module.embed_dim
    names = by_name({f"{prefix}output.weight": module.out_proj.weight, f"{prefix}output.bias": module.out_proj.bias})
    for i, part in enumerate(["query", "key", "value"]):
        at = slice(i * e, (i + 1) * e)
        w, b = module.in_proj_weight, module.in_proj_bias
        names[f"{prefix}{part}.weight"] = Named(lambda w=w, at=at: w[at], lambda w=w, at=at: grad(w)[at])
        names[f"{prefix}{part}.bias"] = Named(lambda b=b, at=at: b[at], lambda b=b, at=at: grad(b)[at])
    return names


def case(name, spec, run, names, shape, x=None, loss=None, loss_fn=None, target=None):
    x = rounded(torch.randn(3, *shape)) if x is None else x
    y = run(x)
    t = rounded(torch.randn_like(y)) if target is None else target(y)
    value = (loss_fn or F.mse_loss)(y, t)
    value.backward()
    return {
        "name": name,
        "spec": {"input": list(shape), "layers": spec},
        "loss_name": loss or "mse",
        "params": {ours: numbers(named.value()) for ours, named in names.items()},
        "x": numbers(x),
        "t": numbers(t),
        "y": numbers(y),
        "loss": float(f"{value.item():.8g}"),
        "grads": {ours: numbers(named.gradient()) for ours, named in names.items()},
    }


ACTIVATIONS = {
    "relu": F.relu, "leaky_relu:0.2": lambda x: F.leaky_relu(x, 0.2), "elu:0.7": lambda x: F.elu(x, 0.7), "selu": F.selu, "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu, "mish": F.mish, "softplus": F.softplus, "hard_swish": F.hardswish,
    "hard_sigmoid": F.hardsigmoid, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "softmax": lambda x: F.softmax(x, -1), "log_softmax": lambda x: F.log_softmax(x, -1),
}


def activations():
    for name, f in ACTIVATIONS.items():
        m = set_up(nn.Linear(5, 6))
        m.weight.data = rounded(m.weight.data * 4)
        yield case(f"dense {name}", [{"dense": {"units": 6, "activation": name}}], lambda x, m=m, f=f: f(m(x)), by_name(plain(m, "layers.0")), [5])


def convolutions():
    m = set_up(nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2))
    spec = {"conv1d": {"channels": 6, "kernel": 3, "stride": 2, "pad": {"zeros": [2, 2]}, "dilation": 2, "groups": 2, "activation": "tanh"}}
    yield case("conv1d", [spec], lambda x: torch.tanh(m(x)), by_name(plain(m, "layers.0")), [4, 9])
    same = set_up(nn.Conv1d(2, 3, 4, padding="same"))
    yield case("conv1d same", [{"conv1d": {"channels": 3, "kernel": 4, "pad": "same"}}], same, by_name(plain(same, "layers.0")), [2, 7])
    m2 = set_up(nn.Conv2d(4, 4, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2))
    spec = {"conv2d": {"channels": 4, "kernel": [3, 2], "stride": [2, 1], "pad": {"zeros": [1, 2, 1, 2]}, "dilation": [1, 2], "groups": 2, "activation": "sigmoid"}}
    yield case("conv2d", [spec], lambda x: torch.sigmoid(m2(x)), by_name(plain(m2, "layers.0")), [4, 5, 6])
    for pooling in ["max", "avg"]:
        c = set_up(nn.Conv2d(2, 3, 2))
        pool = nn.MaxPool2d((2, 3), stride=(2, 1), padding=(1, 1)) if pooling == "max" else nn.AvgPool2d((2, 3), stride=(2, 1), padding=(1, 1), count_include_pad=False)
        spec = [{"conv2d": {"channels": 3, "kernel": [2, 2]}}, {"pool2d": {"pooling": pooling, "kernel": [2, 3], "stride": [2, 1], "pad": [1, 1, 1, 1]}}]
        yield case(f"pool2d {pooling}", spec, lambda x, c=c, pool=pool: pool(c(x)), by_name(plain(c, "layers.0")), [2, 6, 6])


def sequences():
    for kind, module in {"rnn": nn.RNN(3, 4, batch_first=True), "lstm": nn.LSTM(3, 4, batch_first=True), "gru": nn.GRU(3, 4, batch_first=True)}.items():
        set_up(module)
        names = recurrent(module, "layers.0")
        yield case(kind, [{kind: {"units": 4}}], lambda x, m=module: m(x)[0], names, [5, 3])
    relu = set_up(nn.RNN(3, 4, nonlinearity="relu", batch_first=True))
    names = recurrent(relu, "layers.0")
    yield case("rnn relu, last", [{"rnn": {"units": 4, "activation": "relu", "steps": "last"}}], lambda x: relu(x)[0][:, -1], names, [5, 3])
    table, position = set_up(nn.Embedding(9, 4)), nn.Parameter(rounded(torch.randn(5, 4)))
    ids = torch.randint(0, 9, (3, 5)).double()
    names = by_name({"layers.0.weight": table.weight, "layers.1.weight": position})
    yield case("embedding", [{"embedding": {"rows": 9, "width": 4}}, {"positional_embedding": {}}], lambda x: table(x.long()) + position, names, [5], x=ids)


def norms():
    layer = set_up(nn.LayerNorm(6))
    yield case("layer_norm", [{"layer_norm": {}}], layer, by_name(plain(layer, "layers.0")), [4, 6])
    rms = set_up(nn.RMSNorm(6, eps=1e-5))
    yield case("rms_norm", [{"rms_norm": {}}], rms, by_name(plain(rms, "layers.0")), [4, 6])
    for name, module, shape in [("batch_norm", nn.BatchNorm1d(4), [4]), ("batch_norm on images", nn.BatchNorm2d(3), [3, 4, 5])]:
        set_up(module)
        names = by_name(plain(module, "layers.0"))
        yield case(name, [{"batch_norm": {}}], module, names, shape)


def transformers():
    for causal in [False, True]:
        mha = set_up(nn.MultiheadAttention(6, 3, batch_first=True))
        mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64) if causal else None
        spec = [{"attention": {"heads": 3, "causal": causal}}]
        yield case(f"attention, causal {causal}", spec, lambda x, m=mha, mask=mask: m(x, x, x, attn_mask=mask, need_weights=False)[0], attention(mha, "layers.0."), [5, 6])
    for first in [True, False]:
        block = set_up(nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, activation="gelu", batch_first=True, norm_first=first))
        names = attention(block.self_attn, "layers.0.attention.")
        for part in ["linear1", "linear2", "norm1", "norm2"]:
            names.update(by_name(plain(getattr(block, part), f"layers.0.{part}")))
        spec = [{"transformer_block": {"heads": 2, "hidden": 8, "norm": "first" if first else "last"}}]
        yield case(f"transformer_block, norm first {first}", spec, block, names, [5, 6])


def losses():
    m = set_up(nn.Linear(4, 3))
    one_hot = lambda y: F.one_hot(torch.tensor([0, 2, 1]), 3).double()
    bits = lambda y: torch.tensor([[0.0, 1, 1], [1, 0, 0], [0, 1, 0]])
    table = {
        "mae": (F.l1_loss, None),
        "huber": (lambda y, t: F.huber_loss(y, t, delta=1.0), lambda y: rounded(torch.randn_like(y) * 3)),
        "cross_entropy": (F.cross_entropy, one_hot),
        "binary_cross_entropy": (F.binary_cross_entropy_with_logits, bits),
    }
    for name, (f, target) in table.items():
        m.zero_grad()
        yield case(f"loss {name}", [{"dense": {"units": 3}}], m, by_name(plain(m, "layers.0")), [4], loss=name, loss_fn=f, target=target)


OPTIMISERS = {
    "sgd": ({"sgd": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}}, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01)),
    "nesterov": ({"sgd": {"lr": 0.1, "momentum": 0.9, "nesterov": True}}, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
    "adam": ({"adam": {"lr": 0.05, "weight_decay": 0.01}}, lambda p: torch.optim.Adam(p, 0.05, weight_decay=0.01)),
    "adamw": ({"adamw": {"lr": 0.05, "weight_decay": 0.1}}, lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.1)),
    "rmsprop": ({"rmsprop": {"lr": 0.02, "momentum": 0.5}}, lambda p: torch.optim.RMSprop(p, 0.02, momentum=0.5)),
    "adagrad": ({"adagrad": {"lr": 0.1, "lr_decay": 0.1}}, lambda p: torch.optim.Adagrad(p, 0.1, lr_decay=0.1)),
}


def optimisers():
    for name, (ours, make) in OPTIMISERS.items():
        m = set_up(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
        start = [numbers(p) for p in m.parameters()]
        x, t = rounded(torch.randn(6, 3)), rounded(torch.randn(6, 2))
        optimiser = make(m.parameters())
        for _ in range(10):
            optimiser.zero_grad()
            F.mse_loss(m(x), t).backward()
            optimiser.step()
        yield {"name": name, "algorithm": ours, "start": sum(start, []), "x": numbers(x), "t": numbers(t), "end": sum([numbers(p) for p in m.parameters()], [])}


def main():
    cases = [c for make in [activations, convolutions, sequences, norms, transformers, losses] for c in make()]
    assert all(math.isfinite(v) for c in cases for v in c["y"])
    print(json.dumps({"torch": torch.__version__, "cases": cases, "optimisers": list(optimisers())}, indent=None, separators=(",", ":")))


main()
