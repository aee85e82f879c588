"""Writes the golden files of `mayfly-forecast`: what NeuralForecast's own modules compute.

    python3 -m venv venv && venv/bin/pip install neuralforecast==3.3.0 safetensors
    venv/bin/python bench/python/nf_golden.py [NAME ...]

Each configuration is built small, every parameter and running statistic is overwritten with seeded noise, and a file
`crates/mayfly-forecast/tests/golden/NAME.safetensors` is written with the parameters by the names of the state dict,
the inputs of two windows, the output in evaluation mode, and the gradients of `sum(output * functional)` in training
mode without dropout. The metadata has the family, the sizes and the settings.
"""

import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")

import neuralforecast.models as nf
import torch
from neuralforecast.losses.pytorch import MAE, MQLoss
from safetensors.torch import save_file

L, H, ROWS = 16, 6, 2
HERE = pathlib.Path(__file__).resolve().parents[2] / "crates/mayfly-forecast/tests/golden"

EXOGENOUS = {"hist": 2, "futr": 3, "stat": 2}
UNITS = [[8, 8], [8, 8]]
STACKS = ["identity", "trend", "seasonality"]

# NAME: (family, settings, kinds of exogenous columns, outputs a step[, horizon])
CASES = {
    "dlinear": ("DLinear", {"moving_avg_window": 5}, "", 1),
    "dlinear_mq": ("DLinear", {"moving_avg_window": 5}, "", 3),
    "nlinear": ("NLinear", {}, "", 1),
    "nlinear_mq": ("NLinear", {}, "", 3),
    "mlp": ("MLP", {"hidden_size": 8}, "", 1),
    "mlp_exog": ("MLP", {"hidden_size": 8, "num_layers": 3}, "hist futr stat", 3),
    "nhits": ("NHITS", {"mlp_units": UNITS}, "", 1),
    "nhits_mq": ("NHITS", {"mlp_units": UNITS, "n_blocks": [2, 1, 1], "activation": "Tanh"}, "", 3),
    "nhits_exog": ("NHITS", {"mlp_units": UNITS, "n_pool_kernel_size": [5, 3, 1]}, "hist futr stat", 3),
    "nhits_average": ("NHITS", {"mlp_units": UNITS, "pooling_mode": "AvgPool1d", "n_pool_kernel_size": [5, 2, 1], "interpolation_mode": "nearest"}, "futr", 1),
    "nhits_cubic": ("NHITS", {"mlp_units": UNITS, "interpolation_mode": "cubic-1", "n_freq_downsample": [3, 2, 1]}, "", 1),
    "nbeats": ("NBEATS", {"mlp_units": UNITS}, "", 1),
    "nbeats_mq": ("NBEATS", {"mlp_units": UNITS, "n_blocks": [1, 2, 1], "activation": "SELU"}, "", 3),
    "nbeats_shared": ("NBEATS", {"mlp_units": UNITS, "n_blocks": [2, 1, 2], "shared_weights": True, "n_harmonics": 1}, "", 1),
    **{
        f"nbeats_{basis}": ("NBEATS", {"mlp_units": UNITS, "stack_types": ["trend"], "n_blocks": [1], "n_basis": 4, "basis": basis}, "", 1)
        for basis in ["legendre", "chebyshev", "changepoint", "piecewise_linear", "linear_hat", "spline"]
    },
    "nbeatsx": ("NBEATSx", {"mlp_units": UNITS}, "", 1),
    "nbeatsx_exog": ("NBEATSx", {"mlp_units": UNITS, "stack_types": STACKS + ["exogenous"], "n_blocks": [1, 1, 1, 2], "n_polynomials": 3}, "hist futr stat", 3),
    "nbeatsx_stat": ("NBEATSx", {"mlp_units": UNITS, "stack_types": ["exogenous", "identity"], "n_blocks": [1, 1]}, "stat", 1),
    "tide": ("TiDE", {"hidden_size": 8, "decoder_output_dim": 4, "temporal_decoder_dim": 8, "dropout": 0.0}, "", 3),
    "tide_exog": ("TiDE", {"hidden_size": 8, "decoder_output_dim": 4, "temporal_decoder_dim": 8, "dropout": 0.0, "num_encoder_layers": 2, "num_decoder_layers": 2}, "hist futr stat", 3),
    "tide_plain": ("TiDE", {"hidden_size": 8, "decoder_output_dim": 4, "temporal_decoder_dim": 8, "dropout": 0.0, "layernorm": False}, "hist futr", 1),
    **{
        name.lower() + kind: (name, {"encoder_hidden_size": 6, "decoder_hidden_size": 5, **settings}, exogenous, outputs)
        for name in ["RNN", "LSTM", "GRU"]
        for kind, settings, exogenous, outputs in [
            ("", {}, "", 1),
            ("_exog", {"decoder_layers": 3, "decoder_activation": "Tanh"}, "hist futr stat", 3),
            ("_plain", {"encoder_bias": False, "encoder_n_layers": 1, "decoder_layers": 1}, "futr", 1),
        ]
    },
    "lstm_longer": ("LSTM", {"encoder_hidden_size": 4, "decoder_hidden_size": 5}, "futr", 1, 20),
    "tcn": ("TCN", {"encoder_hidden_size": 6, "decoder_hidden_size": 5}, "", 1),
    "tcn_exog": ("TCN", {"encoder_hidden_size": 6, "decoder_hidden_size": 5, "kernel_size": 3, "dilations": [1, 3], "decoder_layers": 3}, "hist futr stat", 3),
    "bitcn": ("BiTCN", {"hidden_size": 5, "dropout": 0.0}, "", 3),
    "bitcn_exog": ("BiTCN", {"hidden_size": 4, "dropout": 0.0}, "hist futr stat", 1),
    "vanilla": ("VanillaTransformer", {"hidden_size": 8, "n_head": 2, "conv_hidden_size": 6, "dropout": 0.0}, "", 1),
    "vanilla_exog": ("VanillaTransformer", {"hidden_size": 8, "n_head": 4, "conv_hidden_size": 6, "dropout": 0.0, "activation": "relu", "encoder_layers": 1, "decoder_layers": 2, "decoder_input_size_multiplier": 0.3}, "futr", 3),
    "deepnpts": ("DeepNPTS", {"hidden_size": 8, "dropout": 0.0}, "", 1),
    "deepnpts_exog": ("DeepNPTS", {"hidden_size": 8, "dropout": 0.0, "batch_norm": False, "n_layers": 3}, "hist futr stat", 1),
}


def model_of(family, settings, kinds, outputs, h):
    names = {kind: [f"{kind}{i}" for i in range(EXOGENOUS[kind])] if kind in kinds.split() else None for kind in EXOGENOUS}
    exogenous = {f"{kind}_exog_list": columns for kind, columns in names.items() if columns}
    loss = MAE() if outputs == 1 else MQLoss(level=[80])
    assert loss.outputsize_multiplier == outputs
    return getattr(nf, family)(h=h, input_size=L, loss=loss, **settings, **exogenous)


def noise(model, generator):
    """Overwrites what is learnt and what is counted."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.rand(parameter.shape, generator=generator) * 0.8 - 0.4)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) - 0.5)
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)


def write(name):
    family, settings, kinds, outputs, *rest = CASES[name]
    h = rest[0] if rest else H
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    rand = lambda *shape: torch.rand(*shape, generator=generator) * 4 - 2
    model = model_of(family, settings, kinds, outputs, h)
    noise(model, generator)
    mask = torch.ones(ROWS, L, 1)
    mask[0, 3] = 0  # an unknown value, which is 0
    mask[1, :2] = 0
    batch = {"insample_y": rand(ROWS, L, 1) * mask, "insample_mask": mask}
    shapes = {"hist": (ROWS, L), "futr": (ROWS, L + h), "stat": (ROWS,)}
    for kind, shape in shapes.items():
        batch[f"{kind}_exog"] = rand(*shape, EXOGENOUS[kind]) if kind in kinds.split() else None
    functional = rand(ROWS, h, outputs)
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    tensors = {f"param/{n}": p.detach().clone() for n, p in model.named_parameters(remove_duplicate=True) if p.requires_grad}
    tensors |= {f"buffer/{n}": b for n, b in buffers.items() if n.endswith(("running_mean", "running_var"))}
    tensors |= {f"input/{n}": t for n, t in batch.items() if t is not None}
    model.eval()
    with torch.no_grad():
        tensors["output"] = model(dict(batch)).reshape(ROWS, h, outputs).clone()
    model.train()
    loss = (model(dict(batch)).reshape(ROWS, h, outputs) * functional).sum()
    loss.backward()
    tensors["functional"] = functional
    for n, p in model.named_parameters(remove_duplicate=True):
        if p.requires_grad:
            tensors[f"grad/{n}"] = (torch.zeros_like(p) if p.grad is None else p.grad).clone()
    facts = {"family": family, "h": h, "input_size": L, "outputs": outputs, "settings": settings}
    facts |= {kind: EXOGENOUS[kind] if kind in kinds.split() else 0 for kind in EXOGENOUS}
    tensors = {n: t.float().contiguous() for n, t in tensors.items()}
    save_file(tensors, HERE / f"{name}.safetensors", metadata={"golden": json.dumps(facts)})
    print(name, sum(t.numel() for t in tensors.values()))


if __name__ == "__main__":
    HERE.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or CASES:
        write(name)
