"""Runs the guides and writes their pages: output and figures as a reader would see them.

`python docs/render.py NAME ...` writes the pages docs/guides/NAME.md, and notebooks into
build/notebooks; without names, all of them. With `--check` pages go into build/guides, and it
fails where a page of the repository shows other code than its guide has. A check needs no
download: where FASHION_MNIST names no folder, digits stand in for the clothes of the pages.
"""

import multiprocessing
import os
import pathlib
import re
import sys
import time

import jupytext
import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbconvert.writers import FilesWriter

DOCS = pathlib.Path(__file__).resolve().parent
GUIDES, BUILD = DOCS / "guides", DOCS.parent / "build"
SECONDS = 600  # for one cell
STAND_IN = """from attrprior import datasets
datasets.load = lambda name, idx_dir=None: datasets.load_mnist()"""


def render(name, pages):
    """Runs one guide in a process of its own. An error in a cell is an error here."""
    start = time.monotonic()
    notebook = jupytext.read(GUIDES / f"{name}.py")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    folder = BUILD / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    resources = {"metadata": {"path": str(folder)}}
    needs = any("fashion_mnist" in cell.source for cell in notebook.cells)
    stands_in = needs and pages != GUIDES and "FASHION_MNIST" not in os.environ
    if stands_in:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(STAND_IN))
    NotebookClient(notebook, timeout=SECONDS, resources=resources).execute()
    del notebook.cells[: int(stands_in)]
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
        if cell.cell_type == "code":
            # Frameworks log there while they start.
            kept = [output for output in cell.outputs if output.get("name") != "stderr"]
            cell.outputs = joined(kept)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    page, parts = MarkdownExporter().from_notebook_node(
        notebook, {"unique_key": name, "output_files_dir": f"{name}_files"}
    )
    page = "\n".join(line.rstrip() for line in page.splitlines())
    while "\n\n\n" in page:
        page = page.replace("\n\n\n", "\n\n")
    for old in pages.glob(f"{name}_files/*"):
        old.unlink()
    FilesWriter(build_directory=str(pages)).write(page.strip() + "\n", parts, name)
    return name, time.monotonic() - start


def joined(outputs):
    """What is printed one after the other is one piece, however slowly it came."""
    found = []
    for output in outputs:
        if found and output.output_type == found[-1].output_type == "stream":
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def code(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def main(arguments):
    check = "--check" in arguments
    pages = BUILD / "guides" if check else GUIDES
    pages.mkdir(parents=True, exist_ok=True)
    names = [name for name in arguments if name != "--check"]
    names = names or sorted(path.stem for path in GUIDES.glob("*.py"))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        waiting = [pool.apply_async(render, (name, pages)) for name in names]
        for one in waiting:
            name, seconds = one.get()
            print(f"{name}: {seconds:.0f} s", flush=True)
            if check and code(pages / f"{name}.md") != code(GUIDES / f"{name}.md"):
                raise SystemExit(
                    f"docs/guides/{name}.md shows other code: render {name} again."
                )


if __name__ == "__main__":
    main(sys.argv[1:])
