"""Mean squared errors of NeuralForecast's families on ETTh1, with the settings of `bench/forecast_gate.json`: written into `bench/forecast_gate_nf.json`, family by family.

    nf_gate.py ETTh1.csv [FAMILY ...]

What the file already has is not trained again. `cargo run --release -p mayfly-forecast --example gate` trains ours and compares.
"""

import json
import logging
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import neuralforecast
import pandas as pd
import torch
from neuralforecast import NeuralForecast, models

BENCH = Path(__file__).resolve().parent.parent
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "enable_checkpointing": False}


def standardised(csv, train, rows):
    """A column a series, in z-scores by the training rows (biased), as rows of unique_id, ds, y."""
    table = pd.read_csv(csv).iloc[:rows, 1:]
    seen = table[:train]
    table = (table - seen.mean()) / seen.std(ddof=0)
    table["ds"] = range(rows)
    return table.melt(id_vars="ds", var_name="unique_id", value_name="y").astype({"y": "float32"})


def error(family, plan, frame, seed):
    kind = getattr(models, family)
    many = {"n_series": frame["unique_id"].nunique()} if kind.MULTIVARIATE else {}
    settings = plan["settings"] | plan["families"][family]
    model = kind(h=plan["h"], input_size=plan["input_size"], random_seed=seed, **settings, **many, **QUIET)
    windows = 1 + (plan["test"] - plan["h"]) // plan["stride"]
    forecast = NeuralForecast(models=[model], freq=1).cross_validation(
        frame, n_windows=windows, step_size=plan["stride"], val_size=0
    )
    return float(((forecast[family] - forecast["y"]) ** 2).mean()), len(forecast)


def main(csv, *only):
    torch.set_num_threads(1)
    plan = json.loads((BENCH / "forecast_gate.json").read_text())
    frame = standardised(csv, plan["train"], plan["rows"])
    path = BENCH / "forecast_gate_nf.json"
    done = json.loads(path.read_text()) if path.exists() else {"neuralforecast": neuralforecast.__version__, "mse": {}}
    for family in only or plan["families"]:
        for seed in plan["seeds"] + plan["more_seeds"].get(family, []):
            known = done["mse"].setdefault(family, {})
            if str(seed) in known:
                continue
            start = time.perf_counter()
            known[str(seed)], rows = error(family, plan, frame, seed)
            print(f"{family} {seed}: {known[str(seed)]:.5f} of {rows} values, {time.perf_counter() - start:.0f} s", flush=True)
            path.write_text(json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
