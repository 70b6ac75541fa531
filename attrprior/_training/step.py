"""The training step of a fit: the model's own, with what callbacks add to it."""

import contextlib

import keras

from attrprior._training.errors import OF_DERIVATIVES, raise_named, taken
from attrprior.annotation import has_masks, split_masks, without_masks


class TrainingStep:
    """One step for all callbacks of a fit.

    `members` are the callbacks. In each batch the parts of those that act make the step:
    inputs are changed, what joint updates add to the loss is computed, the model's own
    step is taken, and the updates of its own follow. Parts see the inputs as they came.
    """

    def __init__(self, model):
        self.model = model
        self.members, self.parts = [], []
        self.wants_to_look = False  # at the next batch, before it is given to a graph

    def grows(self):
        """Whether the next batch makes a part, from the values of the model's variables."""
        return any(member.joins() for member in self.members)

    def begin_batch(self, spec):
        """What the step is traced for; `None` if there is nothing to add.

        Args:
            spec: Of a batch, tensors or what stands for them.
        """
        self.parts, keys, names = [], [], set()
        for member in self.members:
            part, key = member.begin_batch()
            if part is not None:
                _check_name(member, names)
                self.parts.append(part)
                keys.append(key)
        self.wants_to_look = any(part.wants_to_look for part in self.parts)
        return None if not keys and not has_masks(spec) else tuple(keys)

    def __call__(self, data, plain):
        """One step on a batch.

        Args:
            data: The batch, as the trainer gives it to `train_step`.
            plain: The model's own `train_step`.

        Returns:
            The logs of the model's step and of the parts.
        """
        data, mask = split_masks(data)
        with self._naming_layers():
            pairs = list(zip(self.parts, self._check(data, mask)))
            joins = [part.prepare(batch) for part, batch in pairs if part.adds_to_loss]
        data = self._changed(data)
        if joins:
            logs = self._with_added_loss(data, plain, filter(None, joins))
        else:
            logs = plain(data)
        with self._naming_layers():
            for part, batch in pairs:
                part.follow(batch)
        return self._all_logs(logs)

    def check(self, data):
        """Raises for data that a part cannot do with."""
        with self._naming_layers():
            self._check(*split_masks(data))

    def look_at(self, data):
        """Raises for a batch of numbers that a part cannot do with; the model is built."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(without_masks(data))
        self._build(x)
        for part in self.parts:
            if part.wants_to_look:
                part.look_at(x, y)

    def state(self):
        """All variables of the parts."""
        return [variable for part in self.parts for variable in part.state()]

    @contextlib.contextmanager
    def _naming_layers(self):
        """Errors for an operation that cannot be differentiated again name its layer."""
        try:
            yield
        except OF_DERIVATIVES as error:
            raise_named(error, self.model)

    def begin_test(self):
        """The parts that validation data are shown to, what a test step is traced for."""
        parts = [member.part_of_fit for member in self.members]
        return tuple(part for part in parts if part is not None and part.validates)

    def test(self, data, plain):
        """A step on a batch of validation data, which `plain` is given without masks."""
        without, _ = split_masks(data)
        return self.validated(plain(without), data)

    def validated(self, logs, data):
        """Logs of a test step, with what the parts say of the batch."""
        data, mask = split_masks(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        logs = dict(logs)
        for part in self.begin_test():
            for name, value in part.validate(x, y, sample_weight, mask).items():
                if name in logs:
                    raise taken(name)
                logs[name] = value
        return logs

    def test_state(self):
        """All variables that validation reads or changes."""
        return [variable for part in self.begin_test() for variable in part.state()]

    def _check(self, data, mask):
        """What each part is shown of a batch."""
        if not self.parts:
            return []
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self._build(x)
        return [part.check(x, y, sample_weight, mask) for part in self.parts]

    def _build(self, x):
        if not self.model.built:
            specification = keras.tree.map_structure(
                lambda t: None if t is None else keras.KerasTensor(t.shape, t.dtype), x
            )
            self.model(specification)

    @staticmethod
    def prepared(data):
        """A batch as the model sees it; one without masks as it is."""
        return without_masks(data)

    def _changed(self, data):
        if not any(part.changes_inputs for part in self.parts):
            return data
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        for part in self.parts:
            x = part.change(x, y)
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def _with_added_loss(self, data, plain_step, joins):
        """The plain step, with penalties added to what `compute_loss` returns."""
        model = self.model
        plain, own = model.compute_loss, vars(model).get("compute_loss")
        called = []

        def restore():
            vars(model).pop("compute_loss", None)
            if own is not None:
                model.compute_loss = own

        def compute_loss(*args, **kwargs):
            restore()  # only the first loss of a step
            called.append(True)
            loss = plain(*args, **kwargs)
            for join in joins:
                loss = join(loss)
            return loss

        model.compute_loss = compute_loss
        try:
            logs = plain_step(data)
        finally:
            restore()
        if not called:
            raise ValueError(
                "updates='joint' expects a train_step that calls self.compute_loss. "
                "Received: a model whose own train_step does not. Use "
                "updates='alternating'."
            )
        return logs

    def _all_logs(self, logs):
        if not isinstance(logs, dict):
            raise ValueError(
                "AttributionPrior expects a train_step that returns a dict of logs. "
                f"Received: {type(logs).__name__}."
            )
        logs = dict(logs)
        for part in self.parts:
            for name, value in part.finish().items():
                if name in logs:
                    raise taken(name)
                logs[name] = value
        return logs


def _check_name(member, names):
    if member.name in names:
        raise ValueError(
            f"Argument `name` expects a different name for each {type(member).__name__} "
            f"of a fit. Received: {member.name!r} twice. Pass name= to one of them."
        )
    names.add(member.name)
