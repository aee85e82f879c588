"""Writes `crates/mayfly-forecast/tests/tables.json`: what NeuralForecast and utilsforecast count out, without any network.

    venv/bin/python bench/python/nf_tables.py          # neuralforecast 3.3.0, utilsforecast 0.2.17

`windows`: for series of some lengths the cuts of all training windows, in their order (how many values of the series lie
before the horizon). `cutoffs`: rows of `cross_validation`. `dates`: times that follow one. `conformal`: bounds from given
residuals, `[series, windows, h]`, around given points, `[series, h]`.
"""

import json
import logging
import pathlib
import warnings

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

import numpy as np
import pandas as pd
import torch
import utilsforecast.processing as ufp
from neuralforecast import NeuralForecast
from neuralforecast.models import MLP, NLinear
from neuralforecast.tsdataset import TimeSeriesDataset, TimeSeriesLoader
from neuralforecast.utils import add_conformal_distribution_intervals, add_conformal_error_intervals

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/mayfly-forecast/tests/tables.json"
QUIET = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False}


def frame(lens, freq="D", start="2024-01-01"):
    parts = []
    for s, n in enumerate(lens):
        ds = pd.date_range(start, periods=n, freq=freq)
        parts.append(pd.DataFrame({"unique_id": f"s{s}", "ds": ds, "y": 1000.0 * (s + 1) + np.arange(n)}))
    return pd.concat(parts, ignore_index=True)


def windows(lens, input_size, h, step_size, start_padding, availability):
    """A value tells series and place. Frames whose series all are shorter than an input and a value are refused by NeuralForecast."""
    df = frame(lens)
    dataset, *_ = TimeSeriesDataset.from_df(df, id_col="unique_id", time_col="ds", target_col="y")
    model = MLP(h=h, input_size=input_size, step_size=step_size, start_padding_enabled=start_padding,
                training_data_availability_threshold=availability, max_steps=1, hidden_size=2, **QUIET)
    batch = next(iter(TimeSeriesLoader(dataset=dataset, batch_size=len(lens), shuffle=False)))
    case = {"lens": lens, "input_size": input_size, "h": h, "step_size": step_size, "start_padding": start_padding,
            "availability": list(availability) if isinstance(availability, (list, tuple)) else [availability] * 2}
    made, _, _, chosen, *_ = model._create_windows(batch, step="train")
    first = made[chosen][:, input_size, 0, 0]
    cuts = [[int(v) // 1000 - 1, int(v) % 1000] for v in first]
    return case | {"cuts": cuts}


def cutoffs(lens, h, n_windows, step_size, refit, freq):
    df = frame(lens, freq)
    model = NLinear(h=h, input_size=4, max_steps=1, **QUIET)
    cv = NeuralForecast(models=[model], freq=freq).cross_validation(df=df, n_windows=n_windows, step_size=step_size, refit=refit)
    said = lambda t: str(t) if t.time() != pd.Timestamp(0).time() else str(t.date())
    rows = [[r.unique_id, said(r.ds), said(r.cutoff), float(r.y)] for r in cv.itertuples()]
    return {"lens": lens, "h": h, "windows": n_windows, "step": step_size, "refit": int(refit), "freq": freq, "rows": rows}


def dates(freq, last, n):
    offset = int(freq) if freq.isdigit() else freq
    times = pd.Series([int(last)]) if freq.isdigit() else pd.Series([pd.Timestamp(last)])
    made = ufp.make_future_dataframe(uids=pd.Series(["a"]), last_times=times, freq=offset, h=n)["ds"]
    return {"freq": freq, "last": last, "ds": [str(t) if freq.isdigit() else str(pd.Timestamp(t)) for t in made]}


def conformal(method, n_series, n_windows, h, level, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(50, 20, (n_series, h)).astype(np.float32)
    errors = np.abs(rng.normal(0, 3, (n_series, n_windows, h))).astype(np.float32)
    add = {"distribution": add_conformal_distribution_intervals, "error": add_conformal_error_intervals}[method]
    scores = pd.DataFrame({"M": errors.ravel().astype(float)})
    made, names = add(points.reshape(-1, 1).astype(float), scores, model="M", cs_n_windows=n_windows, n_series=n_series, horizon=h, level=level)
    bounds = {name: made[:, 1 + i].tolist() for i, name in enumerate(names)}
    return {"method": method, "series": n_series, "windows": n_windows, "h": h, "level": level, "points": points.ravel().tolist(), "errors": errors.ravel().tolist(), "bounds": bounds}


def main():
    torch.manual_seed(1)
    table = {
        "windows": [
            windows(*case)
            for case in [
                ([12, 20, 15], 5, 3, 1, False, 0.0),
                ([12, 20, 15], 5, 3, 2, False, 0.0),
                ([12, 20, 15], 5, 3, 4, True, 0.0),
                ([3, 9, 30], 6, 2, 1, True, 0.0),
                ([3, 9, 30], 6, 2, 3, False, (0.5, 1.0)),
                ([3, 9, 30], 6, 4, 1, False, (1.0, 0.5)),
                ([8, 8], 6, 4, 1, True, 0.7),
                ([2, 4], 8, 3, 1, True, 0.0),
                ([8], 7, 1, 1, False, 0.0),
                ([40, 33], 9, 5, 7, True, (0.34, 0.21)),
            ]
        ],
        "cutoffs": [
            cutoffs(*case)
            for case in [
                ([30, 25], 3, 1, 1, False, "D"),
                ([30, 25], 3, 4, 1, False, "D"),
                ([30, 41], 3, 3, 3, False, "MS"),
                ([30, 25], 3, 3, 5, False, "h"),
                ([30], 2, 4, 3, True, "W-SUN"),
                ([28, 30], 4, 2, 2, True, "ME"),
            ]
        ],
        "dates": [
            dates(*case)
            for case in [
                ("MS", "2023-11-01", 15), ("2MS", "2024-01-01", 8), ("ME", "2024-01-31", 15), ("3ME", "2023-11-30", 6),
                ("W", "2024-02-25", 6), ("W-MON", "2024-02-26", 6), ("2W-SAT", "2024-02-24", 5), ("B", "2024-02-29", 12), ("2B", "2024-02-29", 7),
                ("D", "2024-02-27", 5), ("7D", "2023-12-20", 4), ("h", "2024-02-28 21:00:00", 30), ("6h", "2024-12-31 06:00:00", 6),
                ("15min", "2024-02-28 23:30:00", 8), ("30s", "2024-12-31 23:59:00", 5),
                ("QS", "2024-01-01", 6), ("QS-NOV", "2023-11-01", 6), ("QE", "2023-12-31", 6), ("QE-JAN", "2024-01-31", 6),
                ("YS", "2023-01-01", 4), ("YS-JUL", "2023-07-01", 4), ("YE", "2023-12-31", 4), ("YE-FEB", "2023-02-28", 6),
                ("1", "7", 4), ("5", "100", 4),
            ]
        ],
        "conformal": [
            conformal(*case)
            for case in [
                ("distribution", 1, 2, 3, [80], 1), ("distribution", 3, 2, 2, [50, 80, 95], 2), ("distribution", 2, 7, 4, [90, 99.5], 3),
                ("error", 1, 2, 3, [80], 4), ("error", 3, 2, 2, [50, 80, 95], 5), ("error", 2, 7, 4, [90, 99.5], 6),
            ]
        ],
    }
    text = ",\n".join(f'"{name}":[\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "]" for name, cases in table.items())
    OUT.write_text("{" + text + "}\n")
    print({name: len(cases) for name, cases in table.items()}, OUT.stat().st_size, "bytes")


main()
