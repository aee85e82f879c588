"""NHITS of NeuralForecast on all of M4's hourly series, 1,000 steps: a line of JSON with its seconds and its sMAPE over the last 48 values.

    nf_m4.py FOLDER LONG.csv STEPS

FOLDER has `M4-Hourly-train.csv` and `M4-Hourly-test.csv`; LONG.csv is written, with both as rows of unique_id, ds, y.
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
from neuralforecast import NeuralForecast
from neuralforecast.models import NHITS

torch.set_num_threads(2)
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "enable_checkpointing": False}
H = 48


def long(folder):
    wide = [pd.read_csv(f"{folder}/M4-Hourly-{part}.csv", index_col=0) for part in ("train", "test")]
    rows = [
        (id, at, value)
        for id in wide[0].index
        for at, value in enumerate(pd.concat([part.loc[id].dropna() for part in wide]).to_numpy())
    ]
    return pd.DataFrame(rows, columns=["unique_id", "ds", "y"])


def main(folder, csv, steps):
    table = long(folder)
    table.to_csv(csv, index=False)
    test = table.groupby("unique_id").tail(H)
    train = table.drop(test.index)
    model = NHITS(h=H, input_size=168, max_steps=int(steps), scaler_type="robust", windows_batch_size=256, random_seed=1, **QUIET)
    forecaster = NeuralForecast(models=[model], freq=1)
    start = time.perf_counter()
    forecaster.fit(train)
    seconds = time.perf_counter() - start
    got = forecaster.predict().merge(test, on=["unique_id", "ds"])
    smape = (200 * (got["NHITS"] - got["y"]).abs() / (got["NHITS"].abs() + got["y"].abs())).mean()
    print(json.dumps({"seconds": seconds, "smape": smape}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
