"""Writes `crates/mayfly-forecast/tests/baselines.json`: what statsforecast makes of a few series.

    python3 -m venv venv && venv/bin/pip install statsforecast==2.1.1
    venv/bin/python bench/python/sf_baselines.py DATA

DATA is the folder with `AirPassengers.csv`, `M3.csv` and `M4-Hourly-train.csv`; of the latter two the result says only
which series were taken.

`recursions`: each of the thirty forms with weights and states given, so that nothing is left to a search: likelihood, last
errors, forecasts, and standard errors where statsforecast has a formula that holds. Left out are MAA (its factor is a
product where a sum is meant) and multiplicative seasons (their mean does not go on with the steps). Seasonal variances
are right in the last step alone, so that each is asked for by itself. Forecasts are steps of one, each taken for the next
value: those of several steps damp the second as little as the first.

`fits`: likelihood, AICc, forecasts and weights of each form that is fitted. statsforecast's search knows bounds of single
weights only; `within` says whether what it found also keeps gamma below 1 - alpha and is admissible.

`others`: forecasts of the optimised Theta model, with its alpha, theta and start, of Theta, and of simple exponential
smoothing. Errors of the Theta models are read from 200 paths.
"""

import csv
import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")

import numpy as np
import statsforecast
from statsforecast import ets, models, theta

assert statsforecast.__version__ == "2.1.1"
OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/mayfly-forecast/tests/baselines.json"
DATA = pathlib.Path(sys.argv[1])
H = 8
ONE_SIGMA = 68.26894921370858
FORMS = [e + t + s for s in "NAM" for t in ["N", "A", "Ad", "M", "Md"] for e in "AM"]
WITHOUT_FORMULA = {"MAA"}


def parts(form):
    return form[0], form[1], form[-1], "d" in form


def listed(values, digits=12):
    return [float(f"{v:.{digits}g}") for v in values]


def series():
    """Name, where it is from, season, values."""
    months = [float(row[1]) for row in list(csv.reader(open(DATA / "AirPassengers.csv")))[1:]]
    yield "AirPassengers", None, 12, months
    m3 = list(csv.reader(open(DATA / "M3.csv")))[1:]
    for name, season in [("N0100", 1), ("N0700", 4), ("N1500", 12), ("N2200", 12)]:
        row = next(row for row in m3 if row[1] == name)
        yield name, "M3.csv", season, [float(v) for v in row[7].split(";")]
    m4 = list(csv.reader(open(DATA / "M4-Hourly-train.csv")))[1:]
    yield m4[20][0], "M4-Hourly-train.csv", 24, [float(v) for v in m4[20][1:] if v]
    random = np.random.default_rng(7)
    t = np.arange(60)
    smooth = 20 + np.cumsum(random.normal(0, 1, 60)) + 3 * np.sin(t * np.pi / 2)
    yield "walk", None, 4, listed(np.round(smooth, 3))
    signs = np.round(np.cumsum(random.normal(0.3, 1, 40)) - 4, 3)
    yield "signs", None, 1, listed(signs)


def initial(form, m):
    """Level, slope, and the season in the order of its values."""
    _, trend, season, _ = parts(form)
    slope = {"N": None, "A": 0.11, "M": 1.01}[trend]
    seasons = {"N": [], "A": [1.5, -2.0, 0.7, -0.2], "M": [1.1, 0.8, 1.15, 0.95]}[season]
    return 21.0, slope, seasons


def ahead(y, m, x, form, weights):
    """The next H values, one by one."""
    e, t, s, damped = parts(form)
    mean = []
    for _ in range(H):
        so_far = np.concatenate([y, mean])
        _, _, states, _ = ets.pegelsresid_C(so_far, m, x, e, t, s, damped, *weights, 3)
        model = {"states": states, "components": f"{e}{t}{s}{'D' if damped else 'N'}", "m": m, "par": np.array(weights)}
        mean.append(ets.pegelsfcast_C(1, model)[0])
    return np.array(mean)


def recursions(y):
    m, sigma2 = 4, {"A": 1.7, "M": 0.004}
    for form in FORMS:
        e, t, s, damped = parts(form)
        level, slope, seasons = initial(form, m)
        weights = {"alpha": 0.3, "beta": 0.12 if t != "N" else 0.0, "gamma": 0.2 if s != "N" else 0.0, "phi": 0.9 if damped else 1.0}
        x = np.array([level] + ([slope] if slope is not None else []) + seasons[::-1])
        length = m if s != "N" else 1
        _, errors, states, lik = ets.pegelsresid_C(y, length, x, e, t, s, damped, *weights.values(), 3)
        model = {"states": states, "components": f"{e}{t}{s}{'D' if damped else 'N'}", "m": length, "sigma2": sigma2[e],
                 "par": np.array(list(weights.values())), "residuals": errors, "fitted": y}
        mean = ahead(y, length, x, form, list(weights.values()))
        entry = {"form": form, "weights": weights, "level": level, "slope": slope or 0.0, "season": seasons,
                 "log_likelihood": -0.5 * lik, "errors": listed(errors[-4:]), "mean": listed(mean), "variance": sigma2[e]}
        if t != "M" and s != "M" and form not in WITHOUT_FORMULA:
            width = lambda h: ets._compute_pred_intervals(model, {"mean": mean[:h]}, h, [ONE_SIGMA])
            high = [width(h)[f"hi-{ONE_SIGMA}"][-1] - mean[h - 1] for h in range(1, H + 1)]
            entry["sigma"] = listed(high)
        yield entry


def fits(y, m):
    for form in FORMS:
        e, t, s, damped = parts(form)
        if (min(y) <= 0 and "M" in form) or (s != "N" and m == 1):
            continue
        lower, upper = np.array([1e-4, 1e-4, 1e-4, 0.8]), np.array([0.9999, 0.9999, 0.9999, 0.98])
        nan = float("nan")
        try:
            model = ets.etsmodel(y, m, e, t, s, damped, nan, nan, nan, nan, lower, upper, "lik", 3, "both")
        except Exception:
            continue
        if model["fit"] is None or not np.isfinite(model["loglik"]):
            continue
        within = ets.check_param(*model["par"][:4], np.array([1e-4, 1e-4, 1e-4, 0.8]), np.array([0.9999, 0.9999, 0.9999, 0.98]), "both", m)
        yield {"form": form, "log_likelihood": round(model["loglik"], 6), "aicc": round(model["aicc"], 6), "within": bool(within),
               "mean": listed(ahead(y, model["m"], model["par"][4:], form, np.nan_to_num(model["par"][:4], nan=1.0)), 8), "step": float(f"{np.sqrt(model['sigma2']):.8g}"), "parameters": int(model["n_params"])}


def others(y, m):
    made = {"OptimizedTheta": models.OptimizedTheta(season_length=m), "Theta": models.Theta(season_length=m), "SES": models.SimpleExponentialSmoothingOptimized()}
    for name, model in made.items():
        forecast = model.forecast(y, H, level=[ONE_SIGMA]) if name != "SES" else model.fit(y).predict(H, level=[ONE_SIGMA])
        sigma = (forecast[f"hi-{ONE_SIGMA}"] - forecast[f"lo-{ONE_SIGMA}"]) / 2
        entry = {"mean": listed(forecast["mean"]), "sigma": listed(sigma, 5)}
        if name == "OptimizedTheta":
            par = theta.auto_theta(y, m, model="OTM")["par"]
            entry["figures"] = listed([par["alpha"], par["theta"], par["initial_smoothed"]])
        yield name, entry


def main():
    made = []
    for name, file, m, values in series():
        y = np.array(values)
        entry = {"name": name, "file": file, "season": m, "values": values if file is None else [], "fits": list(fits(y, m)),
                 "others": dict(others(y, m))}
        best = ets.ets_f(y, m)
        entry["best"] = {"form": best["method"], "aicc": round(best["aicc"], 6)}
        if name == "walk":
            entry["recursions"] = list(recursions(y))
        made.append(entry)
    OUT.write_text("[" + ",\n".join(json.dumps(entry) for entry in made) + "]\n")


main()
