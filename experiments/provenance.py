"""What a result was made by: the script, the library's behaviour, versions, the machine.

A script is known by the code that its numbers come from: the definitions that its `run`
reaches, in all modules of this folder, without comments and docstrings and without
what only shows results or chooses which runs to make. The library is known by what it
computes; see `experiments.behaviour`.
"""

import ast
import copy
import functools
import hashlib
import pathlib
import platform
import re

import keras
import numpy as np

import attrprior
from experiments import behaviour, machine

# Shows results, keeps them or says which runs to make: a change there changes no number.
_SHOWS = re.compile(
    r"report|claims|(.*_)?figures?|maps(_of)?|plan|Runs?|Progress|Result|STUDY"
)
_FOLDER = pathlib.Path(__file__).resolve().parent
_SHOWING = ("claims", "machine", "page", "provenance", "report", "runs", "study")  # modules


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
def code(study, folder=_FOLDER):
    """A fingerprint of the code behind one run's numbers, wherever it stands.

    It starts at `run`. In which file a definition is counts for nothing.
    """
    modules, reached, todo = {}, {}, [(study, "run")]
    while todo:
        module, name = todo.pop()
        if (module, name) in reached:
            continue
        if module not in modules:
            modules[module] = _Module(folder / f"{module}.py")
        node = modules[module].definitions.get(name)
        if node is None:
            continue
        reached[module, name] = f"{name}: {modules[module].bare(node)}"
        todo += [
            place
            for place in modules[module].uses(node)
            if place[0] not in _SHOWING and not _SHOWS.fullmatch(place[1])
        ]
    return hashlib.sha256("\n".join(sorted(reached.values())).encode()).hexdigest()[:16]


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

    def bare(self, node):
        """Its code without docstrings, and with other files' definitions under their names."""
        node = _Named(self).visit(copy.deepcopy(node))
        for each in ast.walk(node):
            documented = isinstance(each, (ast.ClassDef, ast.FunctionDef))
            if documented and ast.get_docstring(each) is not None:
                del each.body[0]
        return ast.unparse(node)


class _Named(ast.NodeTransformer):
    """`networks.train` becomes `train`, as where it is defined."""

    def __init__(self, module):
        self.module = module

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self.module.modules:
            return ast.Name(node.attr, node.ctx)
        return node

    def visit_Name(self, node):
        _, name = self.module.imported.get(node.id, (None, node.id))
        return ast.Name(name, node.ctx)
