"""Writes the CSV files of this folder from their sources. See README.md for what they are.

    python3 make.py FANN_DATASETS AIR_PASSENGERS_CSV     (needs scikit-learn for its data files)
"""

import csv
import gzip
import pathlib
import sys

import sklearn.datasets

HERE = pathlib.Path(__file__).parent
SKLEARN = pathlib.Path(sklearn.datasets.__file__).parent / "data"

# The attributes and their values in the order of UCI's agaricus-lepiota.names, which is also the order of PROBEN1's 125 inputs.
SURFACES = "fibrous scaly silky smooth"
STALK_COLORS = "brown buff cinnamon gray orange pink red white yellow"
MUSHROOM = {
    "cap-shape": "bell conical convex flat knobbed sunken",
    "cap-surface": "fibrous grooves scaly smooth",
    "cap-color": "brown buff cinnamon gray green pink purple red white yellow",
    "bruises": "yes no",
    "odor": "almond anise creosote fishy foul musty none pungent spicy",
    "gill-attachment": "attached descending free notched",
    "gill-spacing": "close crowded distant",
    "gill-size": "broad narrow",
    "gill-color": "black brown buff chocolate gray green orange pink purple red white yellow",
    "stalk-shape": "enlarging tapering",
    "stalk-root": "bulbous club cup equal rhizomorphs rooted",
    "stalk-surface-above-ring": SURFACES,
    "stalk-surface-below-ring": SURFACES,
    "stalk-color-above-ring": STALK_COLORS,
    "stalk-color-below-ring": STALK_COLORS,
    "veil-type": "partial universal",
    "veil-color": "brown orange white yellow",
    "ring-number": "none one two",
    "ring-type": "cobwebby evanescent flaring large none pendant sheathing zone",
    "spore-print-color": "black brown buff chocolate green orange purple white yellow",
    "population": "abundant clustered numerous scattered several solitary",
    "habitat": "grasses leaves meadows paths urban waste woods",
}
# Frequencies that the documentation of the original gives or that are easily checked against it.
KNOWN = {
    ("class", "edible"): 4208, ("class", "poisonous"): 3916, ("stalk-root", "?"): 2480, ("cap-shape", "convex"): 3656,
    ("odor", "none"): 3528, ("ring-number", "one"): 7488, ("ring-type", "pendant"): 3968, ("habitat", "woods"): 3148,
    ("veil-type", "partial"): 8124, ("spore-print-color", "white"): 2388,
}


def write(name, header, rows):
    with open(HERE / name, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def one_of(values, bits, missing):
    assert len(values) == len(bits) and sum(bits) <= 1
    if not any(bits):
        assert missing, "only stalk-root has missing values"
        return "?"
    return values[bits.index(1)]


def mushroom(folder):
    table = []
    for part in ["train", "test"]:
        words = (folder / f"mushroom.{part}").read_text().split()
        rows, inputs, outputs = map(int, words[:3])
        assert (inputs, outputs) == (125, 2)
        bits = [int(word) for word in words[3:]]
        for row in range(rows):
            cells = bits[row * 127 : (row + 1) * 127]
            record = [one_of(["edible", "poisonous"], cells[125:], False)]
            for name, values in MUSHROOM.items():
                values = values.split()
                head, cells = cells[: len(values)], cells[len(values) :]
                record.append(one_of(values, head, name == "stalk-root"))
            assert len(cells) == 2
            table.append(record)
    header = ["class", *MUSHROOM]
    assert len(table) == 8124
    for (column, value), count in KNOWN.items():
        index = header.index(column)
        assert sum(record[index] == value for record in table) == count, (column, value)
    write("mushroom.csv", header, table)


def labelled(source, name, header):
    """scikit-learn's own CSV files: the first line holds counts and class names, the last column the class number."""
    with open(SKLEARN / source, newline="") as file:
        (rows, columns, *classes), *records = csv.reader(file)
    assert len(records) == int(rows) and len(header) == int(columns)
    write(name, [*header, "class"], [[*record[:-1], classes[int(record[-1])]] for record in records])


def snake(text):
    return text.strip().replace(" ", "_").replace("/", "_")


def digits():
    with gzip.open(SKLEARN / "digits.csv.gz", "rt") as file:
        records = [[f"{float(value):g}" for value in record] for record in csv.reader(file)]
    header = [*(f"pixel_{row}_{column}" for row in range(8) for column in range(8)), "digit"]
    write("digits-train.csv", header, [r for i, r in enumerate(records) if i % 5 != 4])
    write("digits-test.csv", header, [r for i, r in enumerate(records) if i % 5 == 4])


def air_passengers(source):
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    with open(source, newline="") as file:
        _, *records = csv.reader(file)
    rows = [[date[:4], months[int(date[5:]) - 1], count] for date, count in records]
    write("air-passengers.csv", ["year", "month", "passengers"], rows)
    write("passengers.csv", ["month", "passengers"], records)


def main():
    mushroom(pathlib.Path(sys.argv[1]))
    air_passengers(sys.argv[2])
    digits()
    labelled("iris.csv", "iris.csv", ["sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm"])
    wine = sklearn.datasets.load_wine().feature_names
    labelled("wine_data.csv", "wine.csv", [snake(name) for name in wine])
    cancer = sklearn.datasets.load_breast_cancer().feature_names
    labelled("breast_cancer.csv", "breast-cancer.csv", [snake(name) for name in cancer])


main()
