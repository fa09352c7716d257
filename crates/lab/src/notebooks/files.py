"""Notebooks as files: their code cells, and outputs fit to be read on another machine."""

import json
import tempfile
from pathlib import Path

from session import Failure, indent


def code_cells(notebook):
    return [
        (index, cell)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip()
    ]


def store(path, text):
    """Replaces a file as a whole: a full disk must not cost the notebook that is there."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def normalise(notebook):
    """Leaves nothing in a notebook that differs from one run or machine to the next by itself."""
    for number, (_, cell) in enumerate(code_cells(notebook), 1):
        cell.execution_count = number
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    notebook.metadata.kernelspec = {"display_name": "Rust", "language": "rust", "name": "rust"}
    notebook.metadata.language_info = {
        "codemirror_mode": "rust",
        "file_extension": ".rs",
        "mimetype": "text/rust",
        "name": "rust",
        "pygments_lexer": "rust",
    }


def refuse_paths_of_this_machine(notebook, path):
    """Stored outputs are read on other machines, where these paths mean nothing."""
    paths = {str(p) for p in (Path.home(), path.parent.parent, Path(tempfile.gettempdir()))} - {"/"}
    for number, (_, cell) in enumerate(code_cells(notebook), 1):
        outputs = json.dumps(cell.outputs)
        for found in sorted(p for p in paths if f"{p}/" in outputs):
            raise Failure(
                f"cell {number}",
                indent(f"not stored: its output names a path of this machine, {found}"),
            )
