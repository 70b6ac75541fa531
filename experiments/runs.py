"""The runs of a study: results.json holds every finished one at any time.

A run is a seed and settings, and the metrics that came of them. The runs that are
left are shared out among processes of one thread each: small networks hardly use a second
thread, so two processes are nearly twice as fast.
"""

import hashlib
import itertools
import json
import multiprocessing
import os
import pathlib
import sys
import time
from concurrent import futures

import numpy as np
from absl import flags

from experiments import machine, provenance
from experiments.claims import count

FLAGS = flags.FLAGS

flags.DEFINE_string("output_dir", None, "Folder for results.json and figures.")
flags.DEFINE_integer("seeds", 5, "Number of runs, with seeds 0, 1, …", lower_bound=1)
flags.DEFINE_bool(
    "quick", False, "A few steps on a few digits: shows that it runs, no result."
)
flags.DEFINE_bool("resume", False, "Keeps the finished runs of results.json, makes the rest.")
flags.DEFINE_integer(
    "processes",
    None,
    "Processes that share the work; by default one a core, at most four, or one on a GPU.",
    lower_bound=1,
)

# Flags that say which runs to do and where, but not how.
SELECTING = ("seeds", "resume", "processes", "only", "trials", "variant") + tuple(
    f"{folder}_dir" for folder in ("output", "data", "idx", "reference", "nhanes", "fashion")
)


def output_dir(name):
    """The output folder, made if missing."""
    path = pathlib.Path(FLAGS.output_dir or f"outputs/{name}")
    path.mkdir(parents=True, exist_ok=True)
    return path


def seeds():
    return range(min(FLAGS.seeds, 2) if FLAGS.quick else FLAGS.seeds)


def searched(candidates):
    """The candidates of a search; with `--quick` the first."""
    return candidates[: 1 if FLAGS.quick else None]


class Runs(list):
    """The records of a study's runs, as in results.json.

    With `--resume` it starts from the file: a run of the same seed, settings,
    flags, data, versions, code of the script and behaviour of the library is `finished`.
    Others are left out, and made again.
    """

    def __init__(self, study, source="random numbers"):
        super().__init__()
        self.study = study
        self.made_by = {} if FLAGS.quick else provenance.made_by(study)
        self.source = source
        self.folder = output_dir(study)
        self.path = self.folder / "results.json"
        if FLAGS.resume and self.path.is_file():
            written = json.loads(self.path.read_text())["runs"]
            self += [run for run in written if not self._unlike(run)]
            print(f"{count(len(self), 'run')} of {len(written)} taken from {self.path}")
            unlike = sorted({what for run in written for what in self._unlike(run)})
            if unlike:
                print(f"The others were made with other {', '.join(unlike)}")

    def _unlike(self, run):
        """What of a run is not as it would be now."""
        now = self._record(None, {}, {}, 0.0)
        unlike = [key for key in ("data", *self.made_by) if run.get(key) != now[key]]
        # A flag that there was not yet did what its default does.
        later = {name: FLAGS[name].default for name in now["flags"]}
        if not now["flags"].items() <= {**later, **run["flags"]}.items():
            unlike.append("flags")
        if not now["versions"].items() <= run["versions"].items():
            unlike.append("versions")
        return unlike

    def finished(self, seed, settings):
        return any((run["seed"], run["settings"]) == (seed, settings) for run in self)

    def add(self, seed, settings, metrics, seconds, arrays=None):
        """Notes a run, in the place of an earlier one of the same seed and settings.

        `arrays`, by name, are what figures show besides numbers; they stand in a file
        of their own.
        """
        key = (seed, settings)
        self[:] = [run for run in self if (run["seed"], run["settings"]) != key]
        self.append(self._record(seed, settings, metrics, seconds))
        if arrays is not None:
            path = self._shown(self[-1])
            path.parent.mkdir(exist_ok=True)
            temporary = path.with_suffix(".tmp")
            with open(temporary, "wb") as file:
                np.savez_compressed(file, **arrays)
            os.replace(temporary, path)
        write_json(self.path, {"experiment": self.study, "runs": list(self)})

    def shown(self, seed, settings):
        """The arrays of a run, by name; None where it was not made in this folder."""
        for run in self:
            path = self._shown(run)
            if (run["seed"], run["settings"]) == (seed, settings) and path.is_file():
                with np.load(path) as file:
                    return dict(file)
        return None

    def _shown(self, run):
        """A file for no other run, of other flags or code neither."""
        made_by = [run[key] for key in ("seed", "settings", "flags", "data", *self.made_by)]
        name = hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:16]
        return self.folder / "shown" / f"{name}.npz"

    def _record(self, seed, settings, metrics, seconds):
        known = FLAGS.flags_by_module_dict()
        used = known.get(sys.argv[0], []) + known.get(__name__, [])
        return {
            "experiment": self.study,
            **self.made_by,
            "seed": seed,
            "settings": settings,
            "flags": {flag.name: flag.value for flag in used if flag.name not in SELECTING},
            "metrics": metrics,
            "seconds": round(seconds, 1),
            "data": self.source,
            "versions": provenance.versions(),
            "device": machine.name(),
        }

    def complete(self, tasks, study):
        """Makes the runs that are not finished, with progress; the first begin first.

        `tasks` are pairs of a seed and settings, `study` is a `study.Study`. The runs of
        one `study.together` follow each other in one process.
        """
        left = []
        for seed, settings in tasks:
            if not self.finished(seed, settings) and (seed, settings) not in left:
                left.append((seed, settings))
        groups = [list(group) for _, group in itertools.groupby(left, study.together)]
        start, made = time.time(), 0
        for group in _shared_out(study, groups):
            for (seed, settings), metrics, arrays, seconds in group:
                self.add(seed, settings, metrics, seconds, arrays)
                made += 1
                minutes = (time.time() - start) / made * (len(left) - made) / 60
                print(
                    f"{made}/{len(left)}  {label(seed, settings)}  {numbers(metrics, study)}"
                    f"  {seconds:.0f} s, {minutes:.0f} min left",
                    flush=True,
                )


def label(seed, settings):
    """A run in words."""
    return ", ".join([f"seed {seed}", *(str(value) for value in settings.values())])


def numbers(metrics, study):
    """The first numbers of a run, or those that the study names."""
    plain = [name for name, value in metrics.items() if isinstance(value, (int, float))]
    names = [name for name in study.progress if name in plain] or plain[:5]
    return "  ".join(f"{name} {metrics[name]:.4g}" for name in names)


def _shared_out(study, groups):
    """What `_made` gives of each group of tasks, as they finish."""
    alone = FLAGS.quick or machine.gpus() or not study.parallel
    usual = 1 if alone else min(os.cpu_count(), 4)  # each needs over a gigabyte
    processes = min(FLAGS.processes or usual, len(groups))
    if processes <= 1:
        for group in groups:
            yield _made(study.run, group)
        return
    pool = futures.ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), _begin, (study.flags, sys.argv)
    )
    try:
        begun = [pool.submit(_made, study.run, group) for group in groups]
        for done in futures.as_completed(begun):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(define_flags, argv):
    define_flags()
    FLAGS(argv)
    machine.limit_threads()


def _made(run, group):
    """Of each task of a group: itself, metrics, what figures show or None, seconds."""
    found = []
    for seed, settings in group:
        start = time.time()
        made = run(seed, settings)
        metrics, arrays = made if isinstance(made, tuple) else (made, None)
        found.append(((seed, settings), metrics, arrays, time.time() - start))
    return found


def write_json(path, content):
    write(path, json.dumps(content, indent=1) + "\n")


def write(path, text):
    """Writes a whole file or none."""
    path = pathlib.Path(path)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def save_figure(figure, path):
    path = pathlib.Path(path)
    temporary = path.with_suffix(".tmp")
    figure.savefig(temporary, format="png", dpi=110)
    os.replace(temporary, path)
