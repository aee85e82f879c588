"""Writes `crates/mayfly-forecast/tests/calendar.json`: what NeuralForecast says of the calendar at some times.

    python3 -m venv venv && venv/bin/pip install neuralforecast==3.3.0 pandas==3.1.1
    venv/bin/python bench/python/nf_calendar.py

`values` has every feature at every time of `times`, `columns` the features that `augment_calendar_df` chooses by the
frequency. Its week of the year asks pandas for an attribute that pandas 2 has no longer; the ISO week that it was is given.
"""

import json
import pathlib
import random

import neuralforecast
import neuralforecast.utils as nf
import pandas as pd

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/mayfly-forecast/tests/calendar.json"
FEATURES = {
    "month": nf.MonthOfYear,
    "monthday": nf.DayOfMonth,
    "weekday": nf.DayOfWeek,
    "yearday": nf.DayOfYear,
    "yearweek": nf.WeekOfYear,
    "dayhour": nf.HourOfDay,
    "hourminute": nf.MinuteOfHour,
    "minutesecond": nf.SecondOfMinute,
}


class Weeks:
    """Times with the attribute that pandas 1 had."""

    def __init__(self, index):
        self.week = index.isocalendar().week.to_numpy().astype(float)


def times():
    """The edges of years, where weeks are odd, and others."""
    edges = [f"{year}-{day} 00:00:00" for year in range(1968, 2032) for day in ["01-01", "01-03", "12-29", "12-31"]]
    leap = [f"{year}-02-{day} 23:59:59" for year in [1900, 2000, 2024] for day in [28, 29] if (year, day) != (1900, 29)]
    numbers = random.Random(1)
    others = [pd.Timestamp(numbers.randrange(-10**9, 2 * 10**9), unit="s").strftime("%Y-%m-%d %H:%M:%S") for _ in range(60)]
    return edges + leap + others


def main():
    index = pd.DatetimeIndex(times())
    values = {}
    for name, feature in FEATURES.items():
        values[name] = [round(float(v), 9) for v in feature()(Weeks(index) if name == "yearweek" else index)]
    columns = {}
    for freq in ["Q", "M", "MS", "D", "B", "H", "T", "S"]:
        columns[freq] = nf.augment_calendar_df(pd.DataFrame({"ds": index}), freq)[1]
    names = {feature: name for name, feature in FEATURES.items()}
    columns["W"] = [names[type(feature)] for feature in nf.time_features_from_frequency_str("W")]
    made = {"neuralforecast": neuralforecast.__version__, "pandas": pd.__version__}
    OUT.write_text(json.dumps({"made_with": made, "columns": columns, "times": times(), "values": values}) + "\n")


if __name__ == "__main__":
    main()
