"""Notebooks as a small site: it needs no network, and fits a phone.

nbconvert's own pages fetch scripts and fonts, and are wider than a phone. What is used of it here is
what is hard: prose, highlighted code, colours in the output of terminals.
"""

import base64
import re
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from nbconvert.filters import Highlight2HTML, ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from files import store

TEMPLATES = Path(__file__).parent / "site"
INDEX = "index.html"
TITLE = "Notebooks"
LANGUAGE = "rust"


class Page:
    """A notebook that ran, and what the index says of it."""

    def __init__(self, path, notebook):
        self.folder = path.parent
        self.notebook = notebook
        self.name = path.name
        self.file = f"{path.stem}.html"
        first = notebook.cells[0].source if notebook.cells else ""
        title = re.search(r"^# +(.+)$", first, re.MULTILINE)
        quotation = re.search(r"^> *(.+)$", first, re.MULTILINE)
        self.title = title.group(1) if title else path.stem
        self.summary = quotation.group(1) if quotation else ""


def write_site(folder, pages):
    """Writes a page for each notebook, and an index of them in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    neighbours = zip(pages, [None, *pages], [*pages[1:], None])
    for page, before, after in neighbours:
        template = templates(page, pages).get_template("page.html.j2")
        text = template.render(
            title=page.title, nb=page.notebook, before=before, after=after, style=style()
        )
        store(folder / page.file, text)
    index = templates(pages[0], pages).get_template("index.html.j2")
    store(folder / INDEX, index.render(title=TITLE, pages=pages, style=style()))


def templates(page, pages):
    """The templates, with filters for one page of a site."""
    environment = Environment(
        autoescape=True, loader=FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True
    )
    highlight = Highlight2HTML(pygments_lexer=LANGUAGE)
    environment.filters.update(
        {
            "alternative": alternative,
            "base64": lambda text: base64.b64encode(text.encode()).decode(),
            "code": lambda source: Markup(highlight(source)),
            "label": label,
            "prose": lambda text, cell: Markup(prose(text, cell, page, pages)),
            "terminal": lambda text: Markup(ansi2html(text)),
        }
    )
    return environment


def prose(text, cell, page, pages):
    """Markdown with pictures in it, tables that can scroll, and links that lead somewhere."""
    renderer = IPythonRenderer(
        escape=False,
        attachments=cell.get("attachments", {}),
        embed_images=True,
        exclude_anchor_links=True,
        path=str(page.folder),
    )
    soup = BeautifulSoup(MarkdownWithMath(renderer=renderer).render(text), "html.parser")
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "table"}))
        # What keeps a bar from ending a table's cell is no part of the code.
        for code in table.find_all("code"):
            code.string = code.get_text().replace("\\|", "|")
    files = {other.name: other.file for other in pages}
    for link in soup.find_all("a", href=re.compile(r"^[^#:]+$|^[^#:]+#")):
        name, mark, anchor = link["href"].partition("#")
        if name in files:
            link["href"] = files[name] + mark + anchor
        else:
            # It led to a file of the repository, which is not here.
            del link["href"]
    return str(soup)


def style():
    """One look for the light theme and one for the dark, the code's colours among them."""
    light, dark = (
        HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("xcode", "github-dark")
    )
    own = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return Markup(f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{own}")


def label(source):
    """What a hidden cell is called: by its first comment, if it begins with one."""
    comment = re.match(r"\s*//+ *(.+)", source)
    return comment.group(1).strip() if comment else "Show the code and its output"


def alternative(output):
    """What a figure shows, in words: the drawing's own, or the plain text beside it."""
    drawing = BeautifulSoup(output.data.get("image/svg+xml", ""), "html.parser")
    words = drawing.svg.get("aria-label") if drawing.svg else None
    return words or output.data.get("text/plain", "")
