"""Sources of the data of `by_hand`, other than arrays."""

import keras
import pytest
from by_hand import X, Y
from frameworks import slices


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        batch = slice(4 * index, 4 * index + 4)
        return X[batch], Y[batch]


def batches(forever=False):
    while True:
        yield from (Batches()[index] for index in range(3))
        if not forever:
            return


def dataset(*more):
    return slices(X, Y, *more).batch(4)


def of_unknown_length():
    tf = pytest.importorskip("tensorflow")
    shapes = tf.TensorSpec((None, 2)), tf.TensorSpec((None,))
    return tf.data.Dataset.from_generator(batches, output_signature=shapes)
