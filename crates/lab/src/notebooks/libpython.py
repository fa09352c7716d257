"""Cells that need Python as a library, to have it inside the kernel's process."""

from pathlib import Path
from sysconfig import get_config_var

# The cells' tag.
TAG = "libpython"
REMEDY = (
    "they need Python as a library (Debian: sudo apt install python3-dev, macOS: brew install python)"
)


def is_there():
    """Whether compiled code can be linked with this Python: it is the notebooks' too."""
    name, folder = f"libpython{get_config_var('LDVERSION')}", Path(get_config_var("LIBDIR"))
    folders = folder, folder / str(get_config_var("MULTIARCH"))
    # The second is macOS's.
    return any((it / f"{name}.{kind}").exists() for it in folders for kind in ("so", "dylib"))


def split(cells):
    """The cells that can be run here, and how many others there are."""
    can = [(i, cell) for i, cell in cells if TAG not in cell.metadata.get("tags", ())]
    return (cells, 0) if is_there() else (can, len(cells) - len(can))
