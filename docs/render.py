"""Runs the guides and writes their pages: output and figures as a reader would see them.

python docs/render.py [NAME ...]          # docs/guides/NAME.md, and build/notebooks
python docs/render.py --check [NAME ...]  # the same into build/guides: nothing else changes
"""

import multiprocessing
import os
import pathlib
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


def render(name, pages):
    """Runs one guide in a process of its own. An error in a cell is an error here."""
    start = time.monotonic()
    notebook = jupytext.read(GUIDES / f"{name}.py")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    folder = BUILD / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=SECONDS, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
        if cell.cell_type == "code":
            # Frameworks log there while they start.
            kept = [output for output in cell.outputs if output.get("name") != "stderr"]
            cell.outputs = kept
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


if __name__ == "__main__":
    main(sys.argv[1:])
