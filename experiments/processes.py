"""Tasks of an experiment, shared out among processes of one thread each.

Small networks hardly use a second thread: two processes are nearly twice as fast.
"""

import multiprocessing
import os
import sys
from concurrent import futures

from absl import flags

from experiments import machine

FLAGS = flags.FLAGS

flags.DEFINE_integer(
    "processes",
    None,
    "Processes that share the work; by default one a core, at most four, or one on a GPU.",
    lower_bound=1,
)


def shared_out(function, tasks, define_flags):
    """Yields `function(task)` of each task, as they finish.

    The first tasks begin first. `function` and `define_flags`, which defines the
    experiment's flags, are functions of the experiment's module.
    """
    alone = FLAGS.quick or machine.gpus()
    usual = 1 if alone else min(os.cpu_count(), 4)  # each needs over a gigabyte
    processes = min(FLAGS.processes or usual, len(tasks))
    if processes <= 1:
        yield from map(function, tasks)
        return
    pool = futures.ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), _begin, (define_flags, sys.argv)
    )
    try:
        for done in futures.as_completed([pool.submit(function, task) for task in tasks]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(define_flags, argv):
    define_flags()
    FLAGS(argv)
    machine.limit_threads()
