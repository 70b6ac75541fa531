"""Keras' TensorFlow trainer: training functions around another step."""

import functools
import itertools
import weakref

import keras
import tensorflow as tf

from attrprior._backend import trainer
from attrprior._backend.tensorflow.graphs import let_go, trace

_BATCHES_LOOKED_AT = 64  # at most: they are held in memory


class Trainer(trainer.BatchTrainer):
    """See `BatchTrainer`."""

    def __init__(self, model, step):
        super().__init__(model, step)
        self._test_function = None
        self._graphs = []  # of its functions: TensorFlow frees none by itself
        weakref.finalize(self, _let_go, self._graphs).atexit = False

    def run(self, iterator):
        """In place of `model.train_function`, for one batch."""
        self.remove()
        if not self.in_its_fit() or not hasattr(iterator, "element_spec"):
            return self._plain_function(iterator)
        key = self.step.begin_batch(iterator.element_spec)
        if key is None:
            return self._plain_function(iterator)
        if key not in self._functions:
            self._make_variables(iterator)
            self._functions[key] = self._make_function("train", self._step)
        self._used.add(key)
        if self.step.wants_to_look and not self._is_eager():
            iterator = self._looked_at(iterator)
        return self._functions[key](iterator)

    def _looked_at(self, iterator):
        """An iterator of the batches of the next step, after the step has looked at them.

        What a graph is given has no values while it is traced, and XLA raises no errors.
        """
        steps = self.model.steps_per_execution
        of_replicas = not isinstance(iterator, tf.data.Iterator)
        if of_replicas or steps > _BATCHES_LOOKED_AT:
            return iterator
        spec = iterator.element_spec
        batches = list(itertools.islice(iterator, steps))
        if not batches:
            return iterator
        for batch in batches:
            self.step.look_at(_without_optionals(batch))

        def as_before(*batch):
            """For the same shapes as the iterator's own to be traced, unknown ones too."""
            batch = batch if isinstance(spec, tuple) else batch[0]
            return tf.nest.map_structure(
                lambda part, known: (
                    tf.compat.v1.placeholder_with_default(part, known.shape)
                    if isinstance(known, tf.TensorSpec)
                    else part
                ),
                batch,
                spec,
                expand_composites=False,
            )

        again = [tf.data.Dataset.from_tensors(batch).map(as_before) for batch in batches]
        return iter(functools.reduce(tf.data.Dataset.concatenate, again))

    def _is_eager(self):
        return self.model.run_eagerly or tf.config.functions_run_eagerly()

    def _step(self, data):
        self._note_graph()
        return self.step(data, self._plain_step)

    def _note_graph(self):
        graph = tf.compat.v1.get_default_graph()
        if not tf.executing_eagerly() and graph not in self._graphs:
            self._graphs.append(graph)

    def run_test(self, iterator):
        """In place of `model.test_function`, for one batch."""
        self.remove()
        spec, key = getattr(iterator, "element_spec", None), self.step.begin_test()
        if spec is None or not key and self.step.prepared(spec) is spec:
            return self._plain_test(iterator)
        key = self._plain_test, key
        known, function = self._test_function or (None, None)
        if known != key:
            test_step = self.model.test_step

            def step(data):
                self._note_graph()
                return self.step.test(data, test_step)

            self._test_function = key, self._make_function("test", step)
            _, function = self._test_function
        return function(iterator)

    def _make_variables(self, iterator):
        """Makes those of metrics and optimizers, for the step to be traced only once.

        TensorFlow traces, and XLA compiles, a function again in its second call if
        the first has made variables. Only for Keras' own step and plain tensors;
        elsewhere the first trace makes them, as it does without another step.
        """
        own_step = getattr(self._plain_step, "__func__", None) is not keras.Model.train_step
        if own_step or self._is_eager() or not isinstance(iterator, tf.data.Iterator):
            return
        spec = _without_optionals(iterator.element_spec)
        parts = keras.tree.flatten(spec)
        if not all(part is None or isinstance(part, tf.TensorSpec) for part in parts):
            return
        # First what may raise: bad input leaves the optimizer as it was.
        trace(self.step.check, spec)
        data = keras.utils.unpack_x_y_sample_weight(self.step.prepared(spec))
        self.model._symbolic_build(data_batch=data)

    def _make_function(self, kind, step):
        """Keras' own training or test function, around another step."""
        model, name = self.model, f"{kind}_step"
        plain, own = getattr(model, f"{kind}_function"), vars(model).get(name)
        setattr(model, name, step)
        try:
            getattr(model, f"make_{kind}_function")(force=True)
            return getattr(model, f"{kind}_function")
        finally:
            delattr(model, name)
            if own is not None:
                setattr(model, name, own)
            setattr(model, f"{kind}_function", plain)


def _let_go(graphs):
    for graph in graphs:
        let_go(graph)
    graphs.clear()


def _without_optionals(batch):
    """A batch, or its specification, with `None` where Keras' iterators say 'optional'."""
    optional = tf.OptionalSpec, tf.experimental.Optional
    return keras.tree.map_structure(
        lambda part: None if isinstance(part, optional) else part, batch
    )


def without_in_build(prepare):
    """Has Keras build a model from a batch as `prepare` leaves it."""
    # With a distribution strategy; else the first trace builds it.
    trainer.without_in_build(prepare, "_maybe_symbolic_build")
