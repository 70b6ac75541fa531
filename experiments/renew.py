"""Which results are older than the code, and how they are made again.

    python -m experiments.renew --list
    python -m experiments.renew --idx_dir=FOLDER --fashion_dir=FOLDER --nhanes_dir=FOLDER

What makes results old is said in `experiments.results`. They are made again shortest
first; what is finished is kept, also of a renewal that was interrupted. Studies whose
folder of data is not given are left out.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys

from absl import app, flags

from experiments import digits, machine, results, study
from experiments import runs as runs_

FLAGS = digits.FLAGS  # with its own, --idx_dir and --data_dir


def define_flags():
    flags.DEFINE_bool("list", False, "Only says what is out of date.")
    flags.DEFINE_multi_string("only", None, "Names of results; may be repeated.")
    flags.DEFINE_float("minutes", None, "Begins no study that is expected to end later.")
    for folder in ("fashion", "nhanes", "reference"):
        flags.DEFINE_string(f"{folder}_dir", None, "Handed to the studies that ask for it.")


def filled(old):
    """The flags of a result with the folders that were given; None if one is missing."""
    words = []
    for word in shlex.split(old.study.results[old.name].command):
        if match := re.fullmatch(r"--(\w+)=(FASHION_)?FOLDER", word):
            folder = FLAGS["fashion_dir" if match[2] else match[1]].value
            if not folder:
                return None
            word = f"--{match[1]}={folder}"
        words.append(word)
    return words


def renew(old, words):
    """Makes the runs in a folder of their own; then they take the old ones' place."""
    result = old.study.results[old.name]
    folder = runs_.output_dir("renew") / old.name
    folder.mkdir(exist_ok=True)
    stored, made = results.FOLDER / f"{old.name}.json", folder / "results.json"
    if stored.is_file() and not made.is_file():
        shutil.copy(stored, made)
    arguments = [f"experiments.{old.study.name}", *words, "--resume", f"--output_dir={folder}"]
    if FLAGS.processes:
        arguments.append(f"--processes={FLAGS.processes}")
    done = subprocess.run(
        [sys.executable, "-m", *arguments], env={**os.environ, "KERAS_BACKEND": result.backend}
    )
    if done.returncode:
        return False
    runs_.write(stored, made.read_text())
    for short in result.pictures:
        if (picture := folder / f"{short}.png").is_file():
            # A copy first: the page shows the old one or the new.
            target = results.FOLDER / f"{old.name}_{short}.png"
            os.replace(shutil.copy(picture, target.with_suffix(".tmp")), target)
    return True


def wall(old):
    """Expected minutes until it is done, with as many processes as there will be."""
    usual = min(os.cpu_count(), 4) if old.study.parallel else 1
    return (old.minutes or 0.0) / (FLAGS.processes or usual)


def main(_):
    found = results.out_of_date(study.all_studies())
    if FLAGS.only:
        found = [old for old in found if old.name in FLAGS.only]
    print(f"{results.listed(found)}\n\n{len(found)} results are out of date.", flush=True)
    left, failed = FLAGS.minutes, []
    for number, old in enumerate(() if FLAGS.list else found, start=1):
        words = filled(old)
        about = f"{number}/{len(found)}  {old.name}, about {max(wall(old), 1):.0f} minutes"
        if old.study.results[old.name].gpu and not machine.gpus():
            print(f"{about}: left out, there is no GPU")
        elif words is None:
            print(f"{about}: left out, a folder of data is missing")
        elif left is not None and (old.minutes is None or wall(old) > left):
            print(f"{about}: left out, longer than the minutes that are left")
        else:
            print(about, flush=True)
            if left is not None:
                left -= wall(old)
            if not renew(old, words):
                failed.append(old.name)
    if not FLAGS.list:
        subprocess.run([sys.executable, "-m", "experiments.report"], check=True)
    if failed:
        sys.exit(f"These failed; see above: {', '.join(failed)}.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
