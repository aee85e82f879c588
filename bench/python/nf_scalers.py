"""Writes `crates/mayfly-forecast/tests/scalers.json`: what NeuralForecast's window scalers make of given windows.

    venv/bin/python bench/python/nf_scalers.py          # neuralforecast 3.3.0

Each window has inputs, some of them unknown, and values of a horizon, which scale nothing. For each scaler: shift, scale,
and the scaled values of both parts as `TemporalNorm` has them; and `back`, numbers taken as forecasts and brought to the
scale of the data. Values are those of 32 bits.
"""

import json
import pathlib
import warnings

warnings.filterwarnings("ignore")

import torch
from neuralforecast.common._scalers import TemporalNorm

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/mayfly-forecast/tests/scalers.json"
L, H = 9, 3
SCALERS = ["identity", "standard", "robust", "minmax", "minmax1", "invariant", "revin"]
PROBES = [-2.5, -0.3, 0.0, 0.7, 3.0]


def windows():
    g = torch.Generator().manual_seed(11)
    noise = lambda n: torch.randn(n, generator=g)
    whole, holes = torch.ones(L), torch.ones(L)
    holes[[0, 1, 5]] = 0
    one = torch.zeros(L)
    one[4] = 1
    spike = noise(L + H)
    spike[2] = 400.0
    same = torch.full((L + H,), 7.25)
    mostly = same.clone()
    mostly[[1, 6]] = torch.tensor([9.0, 3.5])
    yield "noise", 5 + 2 * noise(L + H), whole
    yield "holes", -3 + 0.1 * noise(L + H), holes
    yield "even number", 20 * noise(L + H).abs(), torch.cat([torch.zeros(1), torch.ones(L - 1)])
    yield "outlier", spike, whole
    yield "constant", same, whole
    yield "mostly constant", mostly, whole
    yield "one value", noise(L + H), one
    yield "far from 0", 300 + 50 * noise(L + H), whole


def entry(name, values, known):
    values = values.clone()
    values[:L] *= known
    mask = torch.cat([known, torch.zeros(H)])
    made = {}
    for scaler in SCALERS:
        norm = TemporalNorm(scaler_type=scaler, dim=1, num_features=1)
        place = lambda t: t.reshape(1, -1, 1, 1)
        with torch.no_grad():
            scaled = norm.transform(place(values.clone()), place(mask))
            back = norm.inverse_transform(place(torch.tensor(PROBES)))
        # The weights of `revin` start as 1 and 0; what they add is on the way back alone.
        made[scaler] = {"shift": float(norm.x_shift), "scale": float(norm.x_scale), "scaled": scaled.reshape(-1).tolist(), "back": back.reshape(-1).tolist()}
    return {"name": name, "values": values.tolist(), "known": known.tolist(), "scalers": made}


def main():
    entries = [entry(*window) for window in windows()]
    table = {"inputs": L, "probes": torch.tensor(PROBES).tolist(), "windows": entries}
    OUT.write_text(json.dumps(table, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
    print(f"{len(entries)} windows, {OUT.stat().st_size} bytes")


main()
