"""Notebooks to hand out and to grade: without solutions, and without outputs."""

import os
import re

import nbformat

from exercises import tags_of
from files import store


def write_unsolved(folder, notebooks):
    """Writes the notebooks into a folder in which they can be opened and run."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, notebook in notebooks:
        notebook.cells = [cell for cell in notebook.cells if "solution" not in tags_of(cell)]
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
                cell.source = moved(cell.source, path.parent, folder)
        store(folder / path.name, nbformat.writes(notebook) + "\n")


def moved(source, old, new):
    """Code whose `:dep` lines lead to the same crates from another folder."""

    def relative(found):
        path = os.path.relpath(old / found.group(2), new)
        return f"{found.group(1)}{path}{found.group(3)}"

    return re.sub(r'^(:dep .*path = ")(\.[^"]*)(")', relative, source, flags=re.MULTILINE)
