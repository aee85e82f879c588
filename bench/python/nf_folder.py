"""Writes `crates/mayfly-forecast/tests/neuralforecast`: models that NeuralForecast saved, and what they forecast.

    venv/bin/python bench/python/nf_folder.py [FOLDER ...]

Six folders, of small models after three steps on two series of 60 months with an exogenous column of each kind (`exog`), of
models that take none (`plain`), and with a column of categories of each kind beside numbers (`cat`), of losses that count steps of the horizon differently (`weighed`), and of series that were scaled as a whole (`scaled`), and a FEDformer, whose frequencies follow from its seed (`modes`), each beside `NAME.csv` with NeuralForecast's own forecasts. Quantiles of distributions are drawn
there, so that the files have their parameters.
"""

import logging
import os
import pathlib
import shutil
import sys
import warnings

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MAE, DistributionLoss, HuberMQLoss, MQLoss
from neuralforecast.models import GRU, LSTM, FEDformer, MLP, NHITS, DLinear, NBEATSx, NLinear, PatchTST, TSMixer

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/mayfly-forecast/tests/neuralforecast"
H, L = 4, 8
QUIET = dict(max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)


def frame(n):
    parts = []
    for s, name in enumerate(["a", "b"]):
        t = np.arange(n)
        y = 50 * (s + 1) + 10 * np.sin(t * 0.7 + s) + (t * 37 % 11) * 0.5
        ds = pd.date_range("2015-01-01", periods=n, freq="MS")
        parts.append(pd.DataFrame({"unique_id": name, "ds": ds, "y": y, "seen": np.cos(t * 0.3), "plan": (t + s) % 3 * 1.0, "sky": np.array(["sun", "rain", "fog"])[t * 5 % 7 % 3], "day": np.array([30, 4])[t // 2 % 2]}))
    return pd.concat(parts, ignore_index=True)


def common(loss=None, scaler="standard", **more):
    return dict(h=H, input_size=L, loss=loss or MAE(), scaler_type=scaler, **QUIET, **more)


def models(which):
    if which == "exog":
        columns = dict(hist_exog_list=["seen"], futr_exog_list=["plan"], stat_exog_list=["size"])
        return [
            MLP(hidden_size=8, **common(**columns)),
            NBEATSx(mlp_units=[[8, 8]] * 3, **common(MQLoss(level=[80]), "robust", **columns)),
            LSTM(encoder_hidden_size=4, decoder_hidden_size=4, alias="mine", **common(HuberMQLoss(level=[50, 90]), **columns)),
            GRU(encoder_hidden_size=4, recurrent=True, **common(**columns)),
        ]
    if which == "cat":
        words = {"sky": 3, "day": 2, "town": 2}
        columns = dict(hist_exog_list=["sky", "seen"], futr_exog_list=["day", "plan"], stat_exog_list=["town", "size"])
        columns |= dict(cat_exog_list=["town", "sky", "day"], categorical_cardinalities=words)
        return [MLP(hidden_size=8, **common(**columns)), GRU(encoder_hidden_size=4, recurrent=True, **common(**columns))]
    if which == "weighed":
        weights = torch.tensor([1.0, 0.5, 0.25, 2.0])
        return [MLP(hidden_size=4, **common(MAE(horizon_weight=weights))), GRU(encoder_hidden_size=4, recurrent=True, **common(MAE(horizon_weight=weights)))]
    if which == "scaled":
        columns = dict(hist_exog_list=["seen"], futr_exog_list=["plan"])
        return [MLP(hidden_size=4, **common(scaler="identity", **columns)), GRU(encoder_hidden_size=4, recurrent=True, **common(**columns)), MLP(hidden_size=4, alias="normal", **common(DistributionLoss("Normal", level=[80], return_params=True), **columns))]
    if which == "modes":
        return [FEDformer(hidden_size=8, conv_hidden_size=4, modes=2, encoder_layers=1, random_seed=5, **common())]
    return [
        NHITS(mlp_units=[[8, 8]] * 3, **common(MQLoss(level=[80]), "minmax")),
        NLinear(**common(DistributionLoss("StudentT", level=[80], return_params=True))),
        DLinear(moving_avg_window=3, **common(scaler="identity")),
        PatchTST(hidden_size=4, n_heads=2, linear_hidden_size=8, patch_len=4, stride=2, encoder_layers=1, **common()),
        TSMixer(n_series=2, ff_dim=4, **common()),
    ]


def write(which):
    df = frame(60)
    static = pd.DataFrame({"unique_id": ["a", "b"], "size": [1.0, 2.0], "town": ["Rome", "Oslo"]})
    if which == "exog":
        static = static.drop(columns="town")
    columns = {"exog": ["seen", "plan"], "plain": [], "weighed": [], "modes": [], "scaled": ["seen", "plan"], "cat": ["seen", "plan", "sky", "day"]}[which]
    df = df[["unique_id", "ds", "y", *columns]]
    is_plain = which in ["plain", "weighed", "modes"]
    static = static if which in ["exog", "cat"] else None
    nf = NeuralForecast(models=models(which), freq="MS", local_scaler_type="robust" if which == "scaled" else None)
    nf.fit(df, static_df=static)
    future = frame(60 + H).groupby("unique_id").tail(H)[["unique_id", "ds", "plan"] + ["day"] * (which == "cat")]
    forecasts = nf.predict(futr_df=None if is_plain else future)
    for model in nf.models:
        if hasattr(model.loss, "distr_mean"):
            del model.loss.distr_mean  # a tensor that NeuralForecast 3.3.0 cannot copy
    shutil.rmtree(OUT / which, ignore_errors=True)
    nf.save(str(OUT / which), overwrite=True)
    if which == "scaled":
        forecasts = forecasts[["unique_id", "ds", "MLP", "GRU", "normal-loc"]]  # the others are drawn
    forecasts.to_csv(OUT / f"{which}.csv", index=False)
    if which in ["exog", "cat"]:
        future.to_csv(OUT / ("future.csv" if which == "exog" else "words.csv"), index=False)
    print(which, sum(f.stat().st_size for f in (OUT / which).iterdir()), list(forecasts.columns))


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    for which in sys.argv[1:] or ["plain", "exog", "cat", "weighed", "scaled", "modes"]:
        write(which)
