"""Writes the files in crates/mayfly-format/tests/golden/data with NumPy and PyArrow, and what must be read from them.

    python3 -m venv .venv && .venv/bin/pip install numpy pyarrow && .venv/bin/python make.py
"""

import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).parents[3] / "crates/mayfly-format/tests/golden/data"
want = {}


def rows(array):
    array = np.atleast_1d(np.asarray(array, dtype=np.float64))
    return array.reshape(len(array), -1).tolist()


def npy(name, array, version=None):
    with open(OUT / name, "wb") as file:
        np.lib.format.write_array(file, array, version=version)
    want[name] = rows(array)


rng = np.random.default_rng(1)
floats = rng.normal(size=(5, 3))
npy("c_f8.npy", floats)
npy("fortran_f4.npy", np.asfortranarray(floats.astype("<f4")))
npy("grid_fortran_u1.npy", np.asfortranarray(rng.integers(0, 256, (4, 2, 3), dtype=np.uint8)))
npy("big_endian_f8.npy", floats.astype(">f8"))
npy("big_endian_i2.npy", np.array([[-300, 7], [32767, -32768]], dtype=">i2"))
npy("half.npy", np.array([1.5, -2.0, 65504.0], dtype="f2"))
npy("bool.npy", np.array([True, False, True]))
npy("i8.npy", np.array([[-(2**53)], [2**53]], dtype="i8"))
npy("u8.npy", np.array([0, 2**63], dtype="u8"))
npy("version2.npy", floats, (2, 0))
npy("version3.npy", floats, (3, 0))

x, y = rng.normal(size=(6, 2)), np.arange(6) % 3
np.savez(OUT / "stored.npz", X=x, y=y)
np.savez_compressed(OUT / "deflated.npz", x_train=x.astype("f4"), y_train=y, x_test=x[:2], y_test=y[:2])
np.savez_compressed(OUT / "deflated_fortran.npz", data=np.asfortranarray(x), target=y.astype("u1"))
want["stored.npz"] = np.column_stack([x, y]).tolist()
want["deflated.npz"] = np.column_stack([x.astype("f4").astype("f8"), y]).tolist()
want["deflated_fortran.npz"] = np.column_stack([x, y]).tolist()

table = pa.table({
    "b": pa.array([True, None, False, True], pa.bool_()),
    "i": pa.array([1, -2, None, 4], pa.int64()),
    "u": pa.array([2**32 - 1, 0, 1, None], pa.uint32()),
    "f": pa.array([0.5, float("nan"), None, -1e300], pa.float64()),
    "h": pa.array(np.array([1.5, 0, -2, 65504], dtype="f2"), pa.float16()),
    "d": pa.array(["1.25", None, "-0.50", "3.00"]).cast(pa.decimal128(7, 2)),
    "c": pa.array(["red", "blue", None, "red"]),
    "t": pa.array([0, 86_400_000_000, None, 1], pa.timestamp("us")),
    "plain": pa.array([3.0, 1.0, 4.0, 1.0], pa.float32()),
})
nan = None
want["table"] = {
    "numbers": {
        "b": [1, nan, 0, 1], "i": [1, -2, nan, 4], "u": [2**32 - 1, 0, 1, nan], "f": [0.5, nan, nan, -1e300],
        "h": [1.5, 0, -2, 65504], "d": [1.25, nan, -0.5, 3], "plain": [3, 1, 4, 1],
    },
    "categories": {"c": ["red", "blue", None, "red"]},
    "texts": {"t": ["0", "86400000000", "", "1"]},
}
for codec in ["none", "snappy", "gzip", "zstd"]:
    pq.write_table(
        table, OUT / f"table_{codec}.parquet", compression=codec, row_group_size=3, store_decimal_as_integer=True,
        write_page_checksum=codec == "zstd", data_page_version="2.0" if codec == "gzip" else "1.0",
    )
pq.write_table(pa.table({"x": [1.0], "list": [[1, 2]]}), OUT / "nested.parquet")

(OUT / "want.json").write_text(json.dumps(want) + "\n")
