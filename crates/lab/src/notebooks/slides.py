"""Slides: the cells of a notebook, grouped as JupyterLab's slide types say.

JupyterLab shows and changes the types, nbconvert makes slides of them too.
"""

# As many cells fit on a screen, figures and all.
MOST_CELLS = 3
BEGIN = ("slide", "subslide")
TYPES = (*BEGIN, "fragment", "skip", "notes", "-")


def type_of(cell):
    return cell["metadata"].get("slideshow", {}).get("slide_type") or "-"


def are_in(notebook):
    return any(type_of(cell) != "-" for cell in notebook["cells"])


def of(notebook):
    """The slides, each a list of cells."""
    slides = []
    for cell in notebook["cells"]:
        kind = type_of(cell)
        if kind in BEGIN or not slides:
            slides.append([])
        if kind not in ("skip", "notes"):
            slides[-1].append(cell)
    return [slide for slide in slides if slide]


def faults(notebook):
    """What is wrong with a lesson's slide types, one line for each."""
    cells = notebook["cells"]
    if not cells or type_of(cells[0]) != "slide":
        yield "its first cell has to begin a slide (slideshow.slide_type in the cell's metadata)"
    for number, cell in enumerate(cells, 1):
        if type_of(cell) not in TYPES:
            yield f"cell {number} has the slide type {type_of(cell)!r}: it has to be one of {TYPES}"
        if "solution" in cell["metadata"].get("tags", []) and type_of(cell) != "skip":
            yield f"cell {number} is a solution: it has to have the slide type 'skip'"
    for slide in of(notebook):
        if len(slide) > MOST_CELLS:
            first = "".join(slide[0]["source"]).strip().partition("\n")[0]
            yield f"the slide {first!r} has {len(slide)} cells: {MOST_CELLS} fit on a screen"
