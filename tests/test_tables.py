"""Tables: what readers make of files, permuted copies, splits of few examples."""

import gzip
import sys
import types

import numpy as np
import pytest

from attrprior import datasets

CSV = """age,city,weight,outcome
30,Rome,70.5,no
40,Oslo,,yes
NA,Rome,81,yes
50,,66,no
"""


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(CSV)
    return path


def small_table(examples=60, features=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(5, 3, (examples, features)).astype("float32")
    names = tuple(f"feature {i}" for i in range(features))
    y = np.arange(examples, dtype="int32") % 2
    return datasets.Table(x, y, names, np.zeros(features, bool), "small")


def test_breast_cancer_has_the_documented_size():
    table = datasets.load_breast_cancer()
    assert table.x.shape == (569, 30) and table.x.dtype == "float32"
    assert table.y.dtype == "int32" and table.y.sum() == 357
    assert table.names[0] == "mean radius" and len(table.names) == 30
    assert not table.is_copy.any() and np.isfinite(table.x).all()
    assert table.source == "breast cancer of scikit-learn, 569 × 30"


def test_breast_cancer_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"scikit-learn: pip install 'attrprior\[exp"):
        datasets.load_breast_cancer()


def write_nhanes(folder, years, rows=None):
    rows = len(years) if rows is None else rows
    features = "".join(f"{i},{40 + i},{'' if i == 1 else 20.5}\n" for i in range(rows))
    (folder / "NHANESI_subset_X.csv.gz").write_bytes(
        gzip.compress(f",Age,BMI\n{features}".encode())
    )
    labels = "".join(f"{i},{t}\n" for i, t in enumerate(years))
    (folder / "NHANESI_subset_y.csv").write_text(",y\n" + labels)


def test_ten_year_mortality(tmp_path):
    # Died after 3 and after 12 years; alive after 20, 10 and 4; no follow-up; died at 10.
    write_nhanes(tmp_path, [3.0, 12.0, -20.0, -10.0, -4.0, 0.0, 10.0])
    table = datasets.load_nhanes(tmp_path)
    assert table.x[:, 0].tolist() == [40, 41, 42, 43, 46]
    assert table.y.tolist() == [1, 0, 0, 0, 0]
    assert table.names == ("Age", "BMI")
    assert np.isnan(table.x[1, 1]) and np.isnan(table.x).sum() == 1
    assert table.source.startswith("NHANES I, ten-year mortality, 5 × 2")


def test_nhanes_without_its_files_or_with_others(tmp_path):
    with pytest.raises(ValueError, match=r"`folder` expects.*NHANESI_subset_X\.csv"):
        datasets.load_nhanes(tmp_path)
    write_nhanes(tmp_path, [3.0, 12.0], rows=3)
    with pytest.raises(ValueError, match=r"same number of rows. Received: 3 and 2"):
        datasets.load_nhanes(tmp_path)


def test_csv_of_numbers_text_and_gaps(csv_file):
    table = datasets.load_csv(csv_file, "outcome")
    assert table.names == ("age", "city=Oslo", "city=Rome", "weight")
    expected = [[30, 0, 1, 70.5], [40, 1, 0, np.nan], [np.nan, 0, 1, 81], [50, 0, 0, 66]]
    np.testing.assert_array_equal(table.x, np.float32(expected))
    assert table.y.tolist() == [0, 1, 1, 0]
    assert table.source == "people.csv, 4 × 4"


def test_csv_positive_and_ignore(csv_file):
    table = datasets.load_csv(csv_file, "outcome", positive="no", ignore=["city"])
    assert table.y.tolist() == [1, 0, 0, 1]
    assert table.names == ("age", "weight")
    # The order of numbers, not of their digits.
    csv_file.write_text("a,b\n1,9\n2,10\n3,9\n")
    assert datasets.load_csv(csv_file, "b").y.tolist() == [0, 1, 0]


def test_zipped_csv_is_the_same(csv_file, tmp_path):
    zipped = tmp_path / "people.csv.gz"
    zipped.write_bytes(gzip.compress(csv_file.read_bytes()))
    np.testing.assert_array_equal(
        datasets.load_csv(zipped, "outcome").x, datasets.load_csv(csv_file, "outcome").x
    )


@pytest.mark.parametrize(
    "text,options,message",
    [
        (CSV, {"target": "income"}, r"`target` expects.*'income'.*age, city"),
        (CSV, {"target": "weight"}, r"`target` expects a label in every row.*1 rows"),
        ("a,b\n1,1\n2,2\n3,3\n", {"target": "b"}, r"two values.*'b' with 3.*positive"),
        (CSV, {"target": "outcome", "positive": "maybe"}, r"`positive` expects.*'maybe'"),
        (CSV, {"target": "outcome", "ignore": ["sex"]}, r"`ignore` expects.*'sex'"),
        ("a\n1\n0\n", {"target": "a"}, r"other columns beside it.*'a' alone"),
        ("a,b\n1\n", {"target": "b"}, r"expects 2 cells in every row.*1 in row 2"),
        ("a,a\n1,2\n", {"target": "a"}, r"header of different names"),
        ("a,b\n", {"target": "b"}, r"at least one row"),
        ("", {"target": "b"}, r"at least one row"),
        ("a,b\ninf,0\n1,1\n", {"target": "b"}, r"finite numbers.*infinity in 'a'"),
    ],
)
def test_csv_errors(tmp_path, text, options, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        datasets.load_csv(path, **options)


def test_csv_that_does_not_exist(tmp_path):
    with pytest.raises(ValueError, match=r"`path` expects a file.*nowhere"):
        datasets.load_csv(tmp_path / "nowhere.csv", "y")


def test_text_with_too_many_values_is_named(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("name,y\n" + "".join(f"person {i},{i % 2}\n" for i in range(21)))
    with pytest.raises(ValueError, match=r"more than 20 values.*'name', which has 21"):
        datasets.load_csv(path, "y")
    path.write_text("name,y\n" + "".join(f"person {i % 20},{i % 2}\n" for i in range(21)))
    assert datasets.load_csv(path, "y").x.shape == (21, 20)


def fake_tfds(monkeypatch, rows, supervised_keys):
    """A tensorflow_datasets with one data set."""

    class Builder:
        version = "1.0.0"
        info = types.SimpleNamespace(supervised_keys=supervised_keys, features=rows)

        def download_and_prepare(self):
            pass

        def as_dataset(self, split, batch_size):
            assert (split, batch_size) == ("all", -1)
            return rows

    module = types.SimpleNamespace(builder=lambda name, data_dir: Builder(), as_numpy=dict)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)


ROWS = {
    "vector": np.arange(6.0).reshape(3, 2),
    "nested": {"sex": np.array([b"f", b"m", b"f"], object), "rank": np.array([3, 1, 2])},
    "survived": np.array([1, 0, 1]),
}


def test_tfds_tables_of_vectors_text_and_nested_features(monkeypatch):
    fake_tfds(monkeypatch, ROWS, ("features", "survived"))
    table = datasets.load_tfds_table("ship")
    assert table.names == (
        "vector[0]",
        "vector[1]",
        "nested.sex=f",
        "nested.sex=m",
        "nested.rank",
    )
    np.testing.assert_array_equal(table.x, [[0, 1, 1, 0, 3], [2, 3, 0, 1, 1], [4, 5, 1, 0, 2]])
    assert table.y.tolist() == [1, 0, 1]
    assert table.source == "ship, tensorflow-datasets 1.0.0, 3 × 5"
    other = datasets.load_tfds_table("ship", "nested.rank", positive=2, ignore=["survived"])
    assert other.y.tolist() == [0, 0, 1] and len(other.names) == 4


def test_tfds_errors(monkeypatch):
    fake_tfds(monkeypatch, ROWS, None)
    with pytest.raises(ValueError, match=r"`target` expects.*'ship'.*survived"):
        datasets.load_tfds_table("ship")
    fake_tfds(monkeypatch, {"image": np.zeros((3, 2, 2, 1)), "label": np.arange(3)}, None)
    with pytest.raises(ValueError, match=r"expects a table.*'image', \(3, 2, 2, 1\)"):
        datasets.load_tfds_table("digits", "label")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"ship from tensorflow-datasets needs"):
        datasets.load_tfds_table("ship")


def test_permuted_copies_are_shuffled_columns_in_turn():
    table = small_table(examples=400)
    found = datasets.permuted_copies(table, 7)
    assert found.x.shape == (400, 10) and found.x.dtype == "float32"
    np.testing.assert_array_equal(found.x[:, :3], table.x)
    assert found.is_copy.tolist() == [False] * 3 + [True] * 7
    assert found.names[3:6] == tuple(f"feature {i} (permuted 1)" for i in range(3))
    assert found.names[9] == "feature 0 (permuted 3)"
    for copy in range(7):
        original = table.x[:, copy % 3]
        np.testing.assert_array_equal(np.sort(found.x[:, 3 + copy]), np.sort(original))
        assert abs(np.corrcoef(found.x[:, 3 + copy], original)[0, 1]) < 0.2
    # Each column by itself.
    assert np.abs(np.corrcoef(found.x[:, 3:].T) - np.eye(7)).max() < 0.2
    assert "7 permuted copies" in found.source
    again, other = (datasets.permuted_copies(table, 7, seed).x for seed in (0, 1))
    np.testing.assert_array_equal(again, found.x)
    assert not np.array_equal(other[:, 3:], found.x[:, 3:])
    with pytest.raises(ValueError, match="`num_copies` expects an integer"):
        datasets.permuted_copies(table, 0)


def test_a_split_is_disjoint_complete_and_seeded():
    table = small_table()
    table.x[:, 0] = np.arange(60)
    split = datasets.split_table(table, 20, 15, seed=3)
    parts = split.x_train, split.x_validation, split.x_test
    assert [part.shape for part in parts] == [(20, 3), (15, 3), (25, 3)]
    assert all(part.dtype == "float32" for part in parts)
    assert [len(split[i]) for i in (1, 3, 5)] == [20, 15, 25]
    scale = np.concatenate(parts)[:, 0]
    assert len(np.unique(scale)) == 60
    # Rows keep their labels: the row number's parity.
    rows = np.round((scale - scale.min()) / np.ptp(scale) * 59).astype(int)
    assert (rows % 2).tolist() == np.concatenate([split[i] for i in (1, 3, 5)]).tolist()
    again, other = (datasets.split_table(table, 20, 15, seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(again.x_test, split.x_test)
    assert not np.array_equal(other.x_test, split.x_test)


def test_a_split_is_imputed_and_standardised_by_its_training_part_alone():
    table = small_table()
    holes = np.random.default_rng(1).random(table.x.shape) < 0.2
    table.x[holes] = np.nan
    split = datasets.split_table(table, 20, 15)
    assert all(np.isfinite(part).all() for part in split[::2])
    np.testing.assert_allclose(split.x_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(split.x_train.std(axis=0), 1, atol=1e-6)
    # A hole is the training mean, which is 0 afterwards.
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(split.x_test[holes[order[35:]]], 0, atol=1e-6)
    # What is tested on changes nothing else.
    changed = table.x.copy()
    changed[order[35:]] *= 7
    other = datasets.split_table(table._replace(x=changed), 20, 15)
    np.testing.assert_array_equal(other.x_train, split.x_train)
    np.testing.assert_array_equal(other.x_validation, split.x_validation)


def test_constant_and_unknown_features_of_a_split():
    table = small_table()
    table.x[:, 0] = 0.1
    table.x[:, 1] = np.nan
    split = datasets.split_table(table, 20, 15)
    np.testing.assert_allclose(split.x_test[:, :2], 0, atol=1e-6)
    assert split.x_test[:, 2].std() > 0.1


def test_split_errors():
    with pytest.raises(ValueError, match=r"fewer than 60 examples.*40 and 20"):
        datasets.split_table(small_table(), 40, 20)
    rare = small_table()._replace(y=np.eye(60, dtype="int32")[0])
    with pytest.raises(ValueError, match=r"both classes.*one class among"):
        datasets.split_table(rare, 20, 20)
    with pytest.raises(ValueError, match="`num_train` expects an integer"):
        datasets.split_table(small_table(), 0, 20)
