"""A handout: the figures of the cells with the tag `handout`, on one sheet of paper."""

import re

FILE = "handout.html"
TITLE = "Figures on one page"
TAG = "handout"


def figures(pages):
    """For each tagged cell its lesson, the heading above it, and its output with the drawing."""
    found = []
    for page in pages:
        heading = page.title
        for cell in page.notebook.cells:
            if cell.cell_type == "markdown":
                headings = re.findall(r"^##+ +(.+)$", cell.source, re.MULTILINE)
                heading = headings[-1] if headings else heading
            elif TAG in cell.metadata.get("tags", []):
                drawn = (out for out in cell.outputs if "image/svg+xml" in out.get("data", {}))
                found += [(page, heading, out) for out in drawn]
    return found
