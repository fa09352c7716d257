"""Screenshots, and a page that shows them all."""

import base64
import html
import re

# A plot has its ground, its lines and its bars; a blank one has its ground, and at its rim perhaps
# some of what lies behind.
FEWEST_COLOURS = 3
RIM = 2

COUNT_COLOURS = """async ([picture, rim]) => {
    const image = new Image();
    image.src = 'data:image/png;base64,' + picture;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const [width, height] = [image.width - 2 * rim, image.height - 2 * rim];
    if (width <= 0 || height <= 0) return 0;
    const data = context.getImageData(rim, rim, width, height).data;
    return new Set(new Uint32Array(data.buffer)).size;
}"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Notebooks in JupyterLab</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1440px; margin: auto; padding: 1rem }
img { max-width: 100%%; border: 1px solid #888 }
</style>
<h1>Notebooks in JupyterLab</h1>
%s
</html>
"""


class Pictures:
    """Takes pictures in order; the folder holds those of this run and no others."""

    def __init__(self, folder, eye):
        self.folder = folder
        self._eye = eye
        self._taken = []
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.png"):
            old.unlink()

    def take(self, subject, caption):
        """Stores a screenshot of a page or of a part of one; returns its number of colours."""
        picture = subject.screenshot()
        name = re.sub(r"[^a-z0-9]+", "-", caption.lower()).strip("-")
        file = f"{len(self._taken) + 1:02}-{name}.png"
        (self.folder / file).write_bytes(picture)
        self._taken.append((file, caption))
        self._write_page()
        return self._colours(picture)

    def _colours(self, picture):
        """Counts colours in a page of our own: a browser can read a picture, Python alone cannot."""
        return self._eye.evaluate(COUNT_COLOURS, [base64.b64encode(picture).decode(), RIM])

    def _write_page(self):
        figures = "\n".join(
            f'<h2>{html.escape(caption)}</h2>\n<a href="{file}"><img loading="lazy" src="{file}" '
            f'alt="{html.escape(caption)}"></a>'
            for file, caption in self._taken
        )
        (self.folder / "index.html").write_text(PAGE % figures, encoding="utf-8")
