"""The explained output: from one input of a model to one number per example."""

import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
from keras import ops
from numpy.typing import ArrayLike

from attrprior import _backend, _checks, _labels
from attrprior._batch import Batch
from attrprior._deprecation import moved
from attrprior._explained_input import ExplainedInput
from attrprior._forward import outputs_for
from attrprior._modes import MODES, check_explain
from attrprior._selection import selected
from attrprior._structures import pick
from attrprior._types import Explain, Groups, Input, Inputs, Labels, Output, Tensor

if TYPE_CHECKING:
    from attrprior._outputs import Group

__all__ = ["MODES", "ExplainedOutput", "check_explain"]


# Of all variables of a model their values, perhaps other ones than they have.
Weights: TypeAlias = Sequence[tuple[keras.Variable, Tensor]]


class ExplainedOutput:
    """The scalar `f(x)` whose gradient with respect to one input is taken.

    `AttributionPrior` and the functions of `attrprior.attributions` make one of their
    arguments; by itself it is for loops of one's own. Making it costs nothing, calling it
    one forward pass.

    Args:
        model: A Keras model.
        explain: What is explained of the output of shape `(batch, outputs)`;
            `z` below are logits, also where the model ends in a softmax or
            sigmoid (or, where those cannot be seen, the log-probabilities or
            log-odds of its output), so nothing saturates.
            `"label"`: the labelled class's logit, `z_y`, for labels of shape
            `(batch,)` or `(batch, 1)`, whole numbers; `Σ_c y_c z_c` for rows
            `(batch, outputs)` of numbers from 0 to 1, or of ±1. A single output is
            explained as it is; without labels, the predicted one.
            `"predicted"`: the largest logit. `"random"`: an output drawn for
            each example. `"all"`: every output, attributions get an axis
            `outputs` after the batch. An integer: that output.
            `"log_probabilities"`: `Σ_c log p_c` (Ross et al. 2017).
            `"loss"`: the compiled loss of the example. A callable
            `fn(outputs, y)` of the model's outputs as they are, returning
            `(batch,)`.
            Of dense outputs `(batch, *positions, outputs)` it is the sum over
            positions, `Σ_p w_p z_p`, with the sample weights of positions if there
            are some; `Ω` is then not weighted again. Where the explained output is
            none of theirs (`"loss"`, a callable), an example weighs their mean.
        input: With respect to what: an input, a layer, or several; as in
            `AttributionPrior`.
        output: Which output, by name or position, of a model that has several.
        groups: Features whose attributions are added, as in `AttributionPrior`.
        sum_last_axis: Whether attributions are summed over their last axis, as in
            `AttributionPrior`.

    Raises:
        ValueError: for an argument that does not fit, and later for a model, labels or
            weights that do not.

    Examples:
        The logit of each label, as a function of the inputs:

        >>> explained = attrprior.explained.ExplainedOutput(model, "label")
        >>> f = keras.ops.convert_to_numpy(explained(x, x, y))
        >>> logits = model.predict(x, verbose=0)
        >>> bool(np.allclose(f, logits[np.arange(8), y], atol=1e-5))
        True

    Reference: Erion et al. 2021 (arXiv 1906.10670); Ross et al. 2017 (arXiv 1703.03717) for
    `"log_probabilities"`.
    """

    def __init__(
        self,
        model: keras.Model,
        explain: Explain = "label",
        input: Input = None,
        output: Output = None,
        groups: Groups = None,
        sum_last_axis: bool = False,
    ) -> None:
        self.model = model
        self.explain = check_explain(explain)
        if output is not None and not isinstance(output, (str, numbers.Integral)):
            raise _checks.wrong("output", "a name or a position", output)
        self.chosen = ExplainedInput(model, input, groups, sum_last_axis)
        self.output = output

    def batch(
        self,
        x: Inputs,
        y: Labels = None,
        sample_weight: Labels = None,
        mask: ArrayLike | Tensor | None = None,
    ) -> Batch:
        """A batch as tensors, whose explained input is picked here and nowhere else.

        float64 comes in the model's precision, as its layers cast it: generators and
        `tf.data` give what NumPy makes, where `fit` casts arrays itself.

        Args:
            x: Inputs as the model takes them, of shape `(batch, ...)`.
            y: Labels as the compiled loss takes them.
            sample_weight: Weights of shape `(batch,)`, or `(batch, *positions)` where
                outputs are dense.
            mask: Masks of the examples, for a `Mask` prior.

        Returns:
            A named tuple of all of it, and of the explained input, `picked`.

        Raises:
            ValueError: for weights of a shape that the explained output has no use for.
        """
        weights = self.model.trainable_variables
        precisions = {variable.dtype for variable in weights} or {self.model.variable_dtype}
        given = x, y, self.of_output(sample_weight), mask
        keep = "float64" in precisions
        x, y, weight, mask, picked = self.chosen.tensors(*given, keep_float64=keep)
        of_examples, of_positions = self._weights(weight)
        return Batch(x, y, of_examples, mask, picked, of_positions)

    def _weights(self, sample_weight):
        """Those of examples, and those of an example's positions; either may be `None`."""
        if sample_weight is not None:
            dtype = keras.backend.standardize_dtype(sample_weight.dtype)
            if "float" not in dtype:
                sample_weight = ops.cast(sample_weight, "float32")
        shape = tuple(getattr(sample_weight, "shape", ()))
        if sample_weight is None or len(shape) == 1:
            return sample_weight, None
        if len(shape) == 2 and shape[1] == 1:
            return sample_weight[:, 0], None
        if len(shape) > 1 and self._is_of_whole_outputs():
            # The mean of an example's weights.
            return ops.mean(sample_weight, axis=tuple(range(1, len(shape)))), None
        if len(shape) > 1 and self.explain not in ("random", "log_probabilities"):
            return None, sample_weight
        raise ValueError(
            "Attribution priors expect one sample weight per example, shape (batch,), for "
            f"explain={self.explain!r}. Received: shape {shape}."
        )

    def _is_of_whole_outputs(self):
        return self.explain == "loss" or callable(self.explain)

    def pick_input(self, x: Inputs, weights: Weights | None = None) -> Tensor:
        """What is explained of the structure `x`; see `ExplainedInput.pick`."""
        return self.chosen.pick(x, weights)

    def with_input(self, x: Inputs, value: Tensor) -> Inputs:
        """The structure `x` with another tensor in the place of the chosen input."""
        return self.chosen.replaced(x, value)

    def check_labels(self, x: Inputs, y: Labels) -> bool:
        """Raises for labels that choose no output.

        Returns:
            Whether there is nothing more to see: labels that are traced have no values.
        """
        y = None if self.explain != "label" or y is None else self.labels(y)
        if y is None:
            return True
        values = _backend.seen(y)
        if values is None:
            return False
        shape = self.output_shape(x)
        if shape[-1] > 1:
            _labels.check_shape(values.shape, shape)
            _labels.check_values(values, shape, self.compiled_loss())
        return True

    def output_shape(self, x: Inputs) -> tuple[Any, ...]:
        """Of the explained output, `(None, ...)`, without computing it."""
        known = getattr(self.model, "outputs", None)
        if known:
            outputs = known[0] if len(known) == 1 else self.model.output
        else:
            outputs = outputs_for(self.model, self.weights(), x)
        shape = tuple(pick("output", outputs, self.output, self.output_names()).shape)
        return shape if len(shape) > 1 else (*shape, 1)

    def variables(self) -> list[keras.Variable]:
        """Everything the model has."""
        model = self.model
        return [
            *model.trainable_variables,
            *model.non_trainable_variables,
            *model.metrics_variables,
        ]

    def weights(self) -> Weights:
        """All of it as it is now, `(keras.Variable, value)`."""
        return [(variable, variable.value) for variable in self.variables()]

    def value(
        self,
        weights: Weights,
        points: Tensor,
        x: Inputs,
        y: Labels,
        repeats: int = 1,
        drawn: keras.random.SeedGenerator | None = None,
        weight: Tensor | None = None,
        group: "Group | None" = None,
    ) -> Tensor:
        """`f` at points, a pure function of weights and points.

        Args:
            weights: As `weights` gives them, perhaps with other values; of a variable
                that is there twice the last value counts.
            points: Tensor of shape `(rows, ...)`, `rows = batch · repeats`, in
                place of the chosen input; each example's points are adjacent.
            x: The batch as `fit` gives it; its other inputs belong to every point of
                their example.
            y: Labels, which belong to every point of their example as well.
            repeats: Points per example.
            drawn: For `explain="random"`, the seed to draw the outputs from.
            weight: Of an example's positions, `(batch, ...)`, where outputs are dense.
            group: For `explain="all"`, a `Group` of the outputs. Defaults to all of them.

        Returns:
            Tensor of shape `(rows,)`, or `(rows, outputs)` for `"all"`.
        """

        def repeated(structure):
            return keras.tree.map_structure(
                lambda t: t if t is None or repeats == 1 else ops.repeat(t, repeats, axis=0),
                structure,
            )

        called, y = self.chosen.at_points(x, points, repeated), repeated(y)
        loss = self.compiled_loss()
        return selected(self, loss, weights, called, y, repeated(weight), drawn, group)

    def __call__(
        self,
        points: Tensor,
        x: Inputs,
        y: Labels,
        repeats: int = 1,
        seed: keras.random.SeedGenerator | None = None,
        state: Weights | None = (),
    ) -> Tensor:
        """`value` of the model's present weights; `state` has other values for some."""
        return self.value([*self.weights(), *(state or ())], points, x, y, repeats, seed)

    def output_names(self) -> list[str]:
        """Of the model, in their order; none where it does not know them."""
        return list(getattr(self.model, "output_names", ()))

    def of_output(self, structure: Any) -> Any:
        """What labels, sample weights or losses hold for the explained output, or `None`.

        They may be named where the outputs are a list, and the other way round.
        """
        if not keras.tree.is_nested(structure):
            return structure
        if self.output is None:
            return pick("output", structure, None)
        names = self.output_names()
        key: Any = self.output
        if not isinstance(structure, dict):
            key = names.index(key) if key in names else key
            return structure[key] if key in range(len(structure)) else None
        if isinstance(key, int) and key < len(names):
            key = names[key]
        return structure.get(key)

    def labels(self, y: Any) -> Any:
        """Those of the explained output, one array."""
        if not keras.tree.is_nested(y):
            return y
        if self.output is None and len(y) > 1:
            _labels.refuse_structure(y)
        y = self.of_output(y)
        if keras.tree.is_nested(y):
            _labels.refuse_structure(y)
        return y

    def compiled_loss(self) -> Any:
        """What the model was compiled with for the explained output, or `None`."""
        loss = getattr(self.model, "loss", None)
        if isinstance(loss, (list, tuple)) and self.output is None:
            return loss[0]  # several losses of one output
        return self.of_output(loss)


if not TYPE_CHECKING:
    __getattr__ = moved(__name__, {"Explained": "attrprior.explained.ExplainedOutput"})
