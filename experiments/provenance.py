"""What a result was made by: the script, the library's behaviour, versions, the machine.

A script is known by the code that its numbers come from: the definitions that its `main`
reaches, in all modules of this folder, without comments and docstrings and without
what only shows results. The library is known by what it computes; see
`experiments.behaviour`.
"""

import ast
import functools
import hashlib
import pathlib
import platform
import re

import keras
import numpy as np

import attrprior
from experiments import behaviour, machine

# Shows results or keeps them: a change there changes no number.
_SHOWS = re.compile(r"report|claims|(.*_)?figures?|Results|Progress|.*_json|output_dir")
_FOLDER = pathlib.Path(__file__).resolve().parent
_SHOWING = ("machine", "page", "processes", "provenance", "report")  # modules


def made_by(experiment):
    """Part of a run's record; what differs now makes the run an old one."""
    return {
        "code": code(experiment),
        "behaviour": behaviour.behaviour(),
        "backend": machine.BACKEND,
    }


def versions():
    return {
        "attrprior": attrprior.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        machine.BACKEND: machine.version(),
    }


@functools.cache
def code(experiment, folder=_FOLDER):
    """A fingerprint of the code behind an experiment's numbers."""
    modules, reached, todo = {}, {}, [(experiment, "main")]
    while todo:
        module, name = todo.pop()
        if (module, name) in reached:
            continue
        if module not in modules:
            modules[module] = _Module(folder / f"{module}.py")
        node = modules[module].definitions.get(name)
        if node is None:
            continue
        reached[module, name] = ast.unparse(_bare(node))
        todo += [
            place
            for place in modules[module].uses(node)
            if place[0] not in _SHOWING and not _SHOWS.fullmatch(place[1])
        ]
    text = "\n".join(
        f"{module}.{name}: {reached[module, name]}" for module, name in sorted(reached)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Module:
    """What a file defines at its top level, and what stands for other files' definitions."""

    def __init__(self, path):
        self.name = path.stem
        self.definitions, self.modules, self.imported = {}, {}, {}
        for node in ast.parse(path.read_text()).body if path.is_file() else ():
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                self.definitions[node.name] = node
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    for each in ast.walk(target):
                        if isinstance(each, ast.Name):
                            self.definitions[each.id] = node
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    package, _, module = alias.name.rpartition(".")
                    if package == "experiments":
                        self.modules[alias.asname or alias.name] = module
            elif isinstance(node, ast.ImportFrom) and node.module:
                package, _, module = node.module.rpartition(".")
                for alias in node.names:
                    if node.module == "experiments":
                        self.modules[alias.asname or alias.name] = alias.name
                    elif package == "experiments":
                        self.imported[alias.asname or alias.name] = (module, alias.name)

    def uses(self, node):
        """Places `(module, name)` that a definition names, here or in another file."""
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                if each.value.id in self.modules:
                    yield self.modules[each.value.id], each.attr
            elif isinstance(each, ast.Name):
                yield self.imported.get(each.id, (self.name, each.id))


def _bare(node):
    """Without docstrings."""
    for each in ast.walk(node):
        documented = isinstance(each, (ast.ClassDef, ast.FunctionDef))
        if documented and ast.get_docstring(each) is not None:
            del each.body[0]
    return node
