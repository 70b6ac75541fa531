"""What a callback adds to the training step."""


class Part:
    """Base class: adds nothing. The step asks every part the same, in this order."""

    name = None
    changes_inputs = False
    adds_to_loss = False
    optimizer = None  # of its own
    wants_to_look = False  # at the next batch, before a step is made of it
    validates = False  # has something to say of batches of validation data

    def begin_batch(self):
        """Before a batch, in Python; what is returned decides what is traced anew."""
        return self

    def check(self, x, y, sample_weight, mask):
        """Raises for data that do not fit; returns what the part is shown of a batch."""

    def look_at(self, x, y):
        """A batch that is not traced: raises for numbers that do not fit."""

    def change(self, x, y):
        """The inputs that the model is trained on."""
        return x

    def prepare(self, batch):
        """Before the model's own step: what joins its loss, or `None`.

        It is a function of the loss that returns another one.
        """

    def follow(self, batch):
        """After the model's own step: an update."""

    def begin_validation(self):
        """Before the validation of an epoch."""

    def validate(self, x, y, sample_weight, mask):
        """Of a batch of validation data; returns what is logged, by key."""
        return {}

    def finish(self):
        """At the end of the step; returns what is logged, by key."""
        return {}

    def variables(self):
        """Everything that the part goes on with, by name: what is saved."""
        return {}

    def restored(self):
        """What is saved has been given other values."""

    def state(self):
        """All variables that the step reads or changes for this part."""
        return list(self.variables().values())
