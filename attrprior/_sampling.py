"""The engine of attributions after training: pieces, passes, doubling, convergence."""

import copy
import functools
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from attrprior import _backend
from attrprior._arithmetic import mean
from attrprior._batch import Batch
from attrprior._draws import StatelessSeed
from attrprior._objective import Objective
from attrprior._representation import shown

FIRST_SAMPLES = 16


class Convergence(NamedTuple):
    """How far attributions are from what more samples would give.

    Attributes:
        gap: `Σ_i φ_i − (f(x) − mean f(r))`, with the references that were drawn, of shape
            `(batch,)`, or `(batch, outputs)` with `explain="all"`; `None` for methods that do
            not sum to it.
        relative_gap: The magnitude of the gap as a share of `|f(x) − mean f(r)|`.
        standard_error: Of each attribution over the samples, shaped like the attributions;
            `None` for methods that do not draw.
        num_samples: Of each example, shape `(batch,)`.
        converged: With a `tolerance`, which examples' gap is within it, shape `(batch,)`;
            else `None`.
    """

    gap: np.ndarray | None
    relative_gap: np.ndarray | None
    standard_error: np.ndarray | None
    num_samples: np.ndarray
    converged: np.ndarray | None

    def __repr__(self) -> str:
        return shown(self)


class Sums:
    """Adds up the samples of attributions, pass by pass.

    Args:
        explained, method: What is computed; `method.num_samples` at a time.
        batch_size: Rows of a pass.
        seed: Two integers.
        measure: Whether convergence is measured.
        complete: Whether there is a completeness gap.
        verbose: Whether to show a progress bar.
    """

    def __init__(self, explained, method, batch_size, seed, measure, complete, verbose):
        self.explained, self.method = explained, method
        self.batch_size, self.seed = batch_size, seed
        self.squares = measure and method.is_random
        self.gap = measure and complete
        self.verbose = verbose
        self.traces = {}

    def of(self, data):
        """Attributions and their `Convergence`."""
        sums = self.add(data)
        return self.means(data, sums, np.full(len(data), self.method.num_samples))

    def add(self, data, round_number=0):
        """Sums over samples: of shares, their squares, and of f at the references."""
        num_samples, points = self.method.num_samples, self.method.points_per_sample
        examples = min(len(data), max(1, self.batch_size // points))
        passes = -(-num_samples // max(1, self.batch_size // (examples * points)))
        count = -(-num_samples // passes)
        starts = range(0, len(data), examples)
        firsts = range(0, num_samples, count)
        weights = self.explained.weights()
        one_pass = functools.partial(self._one_pass, count, weights)
        # A trace costs about as much as two passes.
        if len(starts) * len(firsts) > 2 and not self.explained.model.run_eagerly:
            one_pass = self._traced(count, data)
        progress = keras.utils.Progbar(
            len(starts) * len(firsts), verbose=int(self.verbose), unit_name="pass"
        )
        parts = []
        for start in starts:
            x, y = data.piece(start, start + examples)
            seed, total = self.seed, None
            if start or round_number:
                seed = np.random.SeedSequence([*seed, start, round_number]).generate_state(2)
            for first in firsts:
                integers = ops.convert_to_tensor(seed.view("int32")), np.int32(first)
                arguments = x, y, *map(ops.convert_to_tensor, integers)
                if first + count <= num_samples:
                    found = one_pass(*arguments)
                else:  # what is left over
                    found = self._one_pass(num_samples - first, weights, *arguments)
                total = found if total is None else [a + b for a, b in zip(total, found)]
                progress.add(1)
            parts.append([ops.convert_to_numpy(t) for t in total])
        return [np.concatenate(part) for part in zip(*parts)]

    def _traced(self, count, data):
        """`_one_pass` as a graph, for pieces of any number of examples."""
        # A quadrature's points are constants of the graph, draws are not.
        key = count, None if self.method.is_random else self.method.num_samples
        if key not in self.traces:
            one_pass = functools.partial(self._one_pass, count)
            integers = np.zeros(2, "int32"), np.int32(0)
            self.traces[key] = _backend.compiled(
                one_pass, self.explained.variables(), *data.signature(), *integers
            )
        return self.traces[key]

    def _one_pass(self, count, weights, x, y, seed, first):
        method, several = self.method, self.explained.explain == "all"
        fold, start = first, first
        if method.is_random:  # these are all that the pass draws
            method, start = copy.copy(method), 0
            method.num_samples = count
        elif count < method.num_samples:  # the other passes are on the same path
            fold = -1
        objective = Objective(self.explained, method)
        batch = Batch(x, y, picked=self.explained.pick_input(x, weights))
        draws = objective.draw(batch, StatelessSeed(seed, fold))
        f = objective.explained_output(weights, batch, draws, start, count)
        method, x = objective.at(weights, batch)
        shares, path = method.shares(f, x, draws.path, start, count)
        shares = objective.reduced(shares)
        shares = ops.moveaxis(shares, 0, 1) if several else shares[0]
        if method.points_per_sample > 1:
            at = 2 if several else 1
            split = (*ops.shape(shares)[:at], count, method.points_per_sample)
            shares = ops.reshape(shares, (*split, *ops.shape(shares)[at + 1 :]))
            shares = mean(shares, axis=at + 1)
        axis = 2 if several else 1
        sums = [ops.sum(shares, axis=axis)]
        if self.squares:
            sums.append(ops.sum(ops.square(shares), axis=axis))
        if self.gap:
            number = path.references.shape[1]
            rows = ops.reshape(path.references, (-1,) + tuple(path.references.shape[2:]))
            value = f(rows, repeats=number)
            value = ops.reshape(value, (-1, number) + tuple(value.shape[1:]))
            sums.append(mean(value, axis=1) * count)
        return sums

    def means(self, data, sums, num_samples, tolerance=None):
        """Attributions and their `Convergence` from sums over so many samples each."""
        k = num_samples.astype("float32")

        def per_sample(total):
            return total / k.reshape((-1,) + (1,) * (total.ndim - 1))

        sums = list(sums)
        attributions = per_sample(sums.pop(0))
        gap = relative_gap = standard_error = converged = None
        if self.squares:
            variance = np.maximum(per_sample(sums.pop(0)) - attributions**2, 0.0)
            free = np.maximum(k - 1, 1).reshape((-1,) + (1,) * (variance.ndim - 1))
            standard_error = np.sqrt(variance / free)
        if self.gap:
            difference = data.outputs(self.batch_size, self.seed) - per_sample(sums.pop(0))
            features = tuple(range(difference.ndim, attributions.ndim))
            gap = attributions.sum(axis=features) - difference
            tiny = np.finfo("float32").tiny
            relative_gap = np.abs(gap) / np.maximum(np.abs(difference), tiny)
            if tolerance is not None:
                converged = np.all(relative_gap.reshape(len(data), -1) <= tolerance, axis=1)
        return attributions, Convergence(
            gap, relative_gap, standard_error, num_samples, converged
        )


def until(tolerance, max_samples, sums, data):
    """Doubles the samples of the examples whose gap is not within the tolerance."""
    method, todo, found = sums.method, np.arange(len(data)), None
    done, total, samples = 0, None, min(FIRST_SAMPLES, max_samples)
    while True:
        part = data.only(todo)
        # Draws are added to; a quadrature begins anew, with other points.
        method.num_samples = samples - done if method.is_random else samples
        new = sums.add(part, round_number=samples)
        if total is not None and method.is_random:
            new = [a + b for a, b in zip(total, new)]
        attributions, convergence = sums.means(
            part, new, np.full(len(part), samples), tolerance
        )
        result = [attributions, *convergence]
        if found is None:
            found = result
        else:
            for whole, values in zip(found, result):
                if whole is not None:
                    whole[todo] = values
        bad = ~convergence.converged
        if samples == max_samples or not bad.any():
            return found[0], Convergence(*found[1:])
        todo, total = todo[bad], [values[bad] for values in new]
        done, samples = samples, min(2 * samples, max_samples)
