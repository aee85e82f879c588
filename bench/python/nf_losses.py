"""Writes `crates/mayfly-forecast/tests/losses.json`: what NeuralForecast's losses make of given outputs.

    venv/bin/python bench/python/nf_losses.py

For each loss three rows of four steps: the network's outputs, targets, mask, what each step counts where they do not all
count alike, shift and scale of each window, the loss,
its gradient along the outputs, and for distributions mean and quantiles by SciPy of the parameters that NeuralForecast
makes of the outputs (mixtures by a root of the mixed distribution function). Point losses compare scaled values, so that
shift and scale are 0 and 1. Tukey's loss is not there: NeuralForecast's is upside down.
"""

import json
import pathlib
import warnings

warnings.filterwarnings("ignore")

import numpy as np
import torch
from neuralforecast.losses import pytorch as nf
from scipy import optimize, stats

ROWS, H, L = 3, 4, 8
OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/mayfly-forecast/tests/losses.json"
POINT = {
    "mae": nf.MAE(),
    "mse": nf.MSE(),
    "rmse": nf.RMSE(),
    "mape": nf.MAPE(),
    "smape": nf.SMAPE(),
    "mase:3": nf.MASE(3),
    "fredf:0.3": nf.FreDF(0.3),
    "huber:0.7": nf.HuberLoss(0.7),
    "quantile:0.2": nf.QuantileLoss(0.2),
    "huberq:0.2,0.6": nf.HuberQLoss(0.2, 0.6),
    "mq": nf.MQLoss(level=[80, 90]),
    "hubermq:0.4": nf.HuberMQLoss(level=[80, 90], delta=0.4),
}
mix = lambda n, **more: {"n_components": n, "weighted": False, "horizon_correlation": False, "batch_correlation": False, **more}
DISTRIBUTIONS = {
    "Bernoulli": ("Bernoulli", nf.DistributionLoss("Bernoulli")),
    "Normal": ("Normal", nf.DistributionLoss("Normal")),
    "StudentT": ("StudentT", nf.DistributionLoss("StudentT")),
    "Poisson": ("Poisson", nf.DistributionLoss("Poisson")),
    "NegativeBinomial": ("NegativeBinomial", nf.DistributionLoss("NegativeBinomial")),
    "Tweedie": ({"Tweedie": {"rho": 1.4}}, nf.DistributionLoss("Tweedie", rho=1.4)),
    "ISQF": ({"ISQF": {"num_pieces": 3}}, nf.DistributionLoss("ISQF", num_pieces=3)),
    "PMM": ({"PMM": mix(3)}, nf.PMM(3)),
    "PMM weighted": ({"PMM": mix(3, weighted=True)}, nf.PMM(3, weighted=True)),
    "GMM": ({"GMM": mix(2)}, nf.GMM(2)),
    "GMM horizon": ({"GMM": mix(2, weighted=True, horizon_correlation=True)}, nf.GMM(2, weighted=True, horizon_correlation=True)),
    "GMM batch": ({"GMM": mix(2, weighted=True, batch_correlation=True)}, nf.GMM(2, weighted=True, batch_correlation=True)),
    "PMM both": ({"PMM": mix(2, horizon_correlation=True, batch_correlation=True)}, nf.PMM(2, horizon_correlation=True, batch_correlation=True)),
    "NBMM": ({"NBMM": mix(2)}, nf.NBMM(2)),
    "NBMM weighted": ({"NBMM": mix(2, weighted=True)}, nf.NBMM(2, weighted=True)),
}
# Steps that count differently.
WEIGHT = [0.5, 2.0, 0.0, 1.5]
WEIGHED = {
    "mae": nf.MAE(torch.tensor(WEIGHT)),
    "mse": nf.MSE(torch.tensor(WEIGHT)),
    "quantile:0.2": nf.QuantileLoss(0.2, torch.tensor(WEIGHT)),
    "mq": nf.MQLoss(level=[80, 90], horizon_weight=torch.tensor(WEIGHT)),
}
# Losses that draw a share for each target.
IMPLICIT = {"iq": nf.IQLoss(), "huberiq:0.6": nf.HuberIQLoss(delta=0.6)}
SHARES = [0.5, 0.05, 0.1, 0.9, 0.95]


def listed(tensor):
    return [float(v) for v in tensor.detach().reshape(-1)]


def entry(loss, raw, y, mask, loc, scale, value, extra=None):
    (gradient,) = torch.autograd.grad(value, raw)
    return {"loss": loss, "outputs": listed(raw), "targets": listed(y), "known": listed(mask), "shift": listed(loc[:, 0]),
            "scale": listed(scale[:, 0]), "value": float(value), "gradient": listed(gradient), **(extra or {})}


def mask_of(name):
    mask = torch.ones(ROWS, H, 1)
    # Spectra and draws that are shared say nothing of what is missing.
    if not any(word in name for word in ["fredf", "horizon", "batch", "both"]):
        mask[1, 2:] = 0
        mask[2, 0] = 0
    return mask


def point(name, loss):
    g = torch.Generator().manual_seed(len(name) * 7 + ord(name[0]))
    m = loss.outputsize_multiplier
    raw = torch.randn(ROWS, H, m, generator=g).requires_grad_()
    y = torch.randn(ROWS, H, 1, generator=g)
    past = torch.randn(ROWS, L, generator=g)
    mask = mask_of(name)
    value = loss(y=y, y_hat=loss.domain_map(raw), mask=mask, y_insample=past)
    zero, one = torch.zeros(ROWS, 1), torch.ones(ROWS, 1)
    return entry(name, raw, y, mask, zero, one, value, {"past": listed(past)})


def implicit(name, loss):
    """The loss of given outputs, which its layer has made of a network's: that layer is in the golden files of families."""
    g = torch.Generator().manual_seed(len(name) * 5 + ord(name[0]))
    raw = torch.randn(ROWS, H, 1, generator=g).requires_grad_()
    y = torch.randn(ROWS, H, 1, generator=g)
    loss.q = torch.rand(ROWS, H, 1, generator=g)
    mask = mask_of(name)
    zero, one = torch.zeros(ROWS, 1), torch.ones(ROWS, 1)
    return entry(name, raw, y, mask, zero, one, loss(y=y, y_hat=raw, mask=mask), {"shares": listed(loss.q)})


def frozen(kind, p):
    if kind == "Bernoulli":
        return stats.bernoulli(p[0])
    if kind in ("Normal", "GMM"):
        return stats.norm(p[0], p[1])
    if kind == "StudentT":
        return stats.t(p[0], p[1], p[2])
    if kind in ("Poisson", "PMM"):
        return stats.poisson(p[0])
    return stats.nbinom(p[0], 1 - p[1])


def quantiles(kind, parts, weights):
    """Mean and quantiles of a mixture of one or more."""
    mean = float(sum(w * part.mean() for w, part in zip(weights, parts)))
    share = lambda x: sum(w * part.cdf(x) for w, part in zip(weights, parts))
    found = []
    for q in SHARES:
        ends = [part.ppf(q) for part in parts]
        low, high = min(ends), max(ends)
        if low == high:
            found.append(float(low))
        elif kind == "GMM":
            found.append(float(optimize.brentq(lambda x: share(x) - q, low - 1e-9, high + 1e-9, xtol=1e-13)))
        else:
            found.append(float(next(x for x in np.arange(low, high + 1) if share(x) >= q)))
    return [mean] + found


def read(name, args, loss):
    kind = name.split()[0]
    if kind == "Tweedie":
        return None
    if kind == "ISQF":
        law = loss.get_distribution(args)
        scaled = lambda q: law.base_dist.quantile_internal(torch.full((ROWS, H, 1), q)) * args[-1] + args[-2]
        shares = [scaled(q).detach().numpy() for q in SHARES]
        return [[None] + [float(q[r, t, 0]) for q in shares] for r in range(ROWS) for t in range(H)]
    args = [a.detach().double().numpy().reshape(ROWS * H, -1) for a in args]
    weights, args = (args[-1], args[:-1]) if "weighted" in name or name in ("GMM horizon", "GMM batch") else (None, args)
    rows = []
    for i in range(ROWS * H):
        n = args[0].shape[1]
        w = weights[i] if weights is not None else np.full(n, 1 / n)
        rows.append(quantiles(kind, [frozen(kind, [a[i, k] for a in args]) for k in range(n)], w))
    return rows


def distribution(name, config, loss):
    g = torch.Generator().manual_seed(len(name) * 11 + ord(name[0]))
    raw = torch.randn(ROWS, H, loss.outputsize_multiplier, generator=g).requires_grad_()
    loc = 2 + 3 * torch.rand(ROWS, 1, 1, generator=g)
    scale = 0.5 + torch.rand(ROWS, 1, 1, generator=g)
    if name == "Bernoulli":
        y = torch.randint(0, 2, (ROWS, H, 1), generator=g).float()
    elif name.split()[0] in ("Normal", "StudentT", "ISQF", "GMM"):
        y = loc + 2 * scale * torch.randn(ROWS, H, 1, generator=g)
    else:
        y = torch.randint(0, 9, (ROWS, H, 1), generator=g).float()
    mask = mask_of(name)
    args = loss.scale_decouple(output=loss.domain_map(raw), loc=loc.clone(), scale=scale.clone())
    value = loss(y=y, distr_args=args, mask=mask)
    config = {"distribution": {"distribution": config, "spread": {"level": [80.0, 90.0]}}}
    return entry(config, raw, y, mask, loc[:, 0], scale[:, 0], value, {"columns": read(name, args, loss)})


def main():
    entries = [point(*item) for item in POINT.items()]
    entries += [distribution(name, *both) for name, both in DISTRIBUTIONS.items()]
    weight = {"horizon_weight": WEIGHT}
    entries += [point(*item) | weight for item in WEIGHED.items()]
    entries += [distribution("Normal", "Normal", nf.DistributionLoss("Normal", horizon_weight=torch.tensor(WEIGHT))) | weight]
    entries += [implicit(*item) for item in IMPLICIT.items()]
    OUT.write_text(json.dumps(entries, separators=(",", ":")).replace('{"loss"', '\n{"loss"') + "\n")
    print(f"{len(entries)} losses, {OUT.stat().st_size} bytes")


main()
