"""Fits one family of NeuralForecast on a series and forecasts its last horizon: a line of JSON for each seed.

    nf_bench.py FAMILY CSV H INPUT_SIZE STEPS SEED [SEED ...]
"""

import json
import logging
import sys
import time
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import pandas as pd
import torch
from neuralforecast import NeuralForecast, models

torch.set_num_threads(2)

# Arguments without which 36 values are no input of these.
OWN = {"TimeXer": {"patch_len": 12}}


def main(family, csv, h, input_size, steps, *seeds):
    h, input_size, steps = int(h), int(input_size), int(steps)
    table = pd.read_csv(csv)
    table.columns = ["ds", "y"]
    table = table.assign(unique_id="a", ds=pd.to_datetime(table["ds"]))
    train, test = table[:-h], table[-h:]
    kind = getattr(models, family)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "enable_checkpointing": False}
    for seed in map(int, seeds):
        many = {"n_series": 1} if kind.MULTIVARIATE else {}
        model = kind(h=h, input_size=input_size, max_steps=steps, scaler_type="standard", random_seed=seed, **OWN.get(family, {}), **many, **quiet)
        forecaster = NeuralForecast(models=[model], freq="MS")
        start = time.perf_counter()
        forecaster.fit(train)
        seconds = time.perf_counter() - start
        forecast = forecaster.predict()[family].to_numpy()
        times = []
        for _ in range(5):
            start = time.perf_counter()
            forecaster.predict()
            times.append(time.perf_counter() - start)
        mae = float(abs(forecast - test["y"].to_numpy()).mean())
        print(json.dumps({"family": family, "seed": seed, "seconds": seconds, "mae": mae, "predict": sorted(times)[2]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
