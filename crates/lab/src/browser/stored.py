"""A notebook as it is stored: what its cells are, and what a clean run of them shows."""

import json


class Cell:
    """A cell and its place among all cells of the notebook."""

    def __init__(self, index, data):
        metadata = data["metadata"]
        self.index = index
        self.source = "".join(data["source"])
        self.is_code = data["cell_type"] == "code" and bool(self.source.strip())
        self.is_hidden = metadata.get("jupyter", {}).get("source_hidden", False)
        self.has_to_fail = "raises-exception" in metadata.get("tags", [])
        outputs = data.get("outputs", [])
        self.plots = sum(is_plot(output) for output in outputs)
        self.has_stderr = any(output.get("name") == "stderr" for output in outputs)


def is_plot(output):
    data = output.get("data", {})
    html = "".join(data.get("text/html", ""))
    return "<svg" in html or "<img" in html or any(kind.startswith("image/") for kind in data)


def cells_of(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [Cell(index, data) for index, data in enumerate(cells)]
