"""Notebooks as a small site: it needs no network and no server, and fits a phone.

nbconvert's own pages fetch scripts and fonts, and are wider than a phone. What is used of it here is
what is hard: prose, highlighted code, colours in the output of terminals.
"""

import base64
import json
import re
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from nbconvert.filters import Highlight2HTML, ansi2html
from pygments.formatters import HtmlFormatter

import handout
import slides
from files import store
from markdown import HEADINGS, rendered

TEMPLATES = Path(__file__).parent / "site"
INDEX = "index.html"
TITLE = "joblab: the notebooks"
LANGUAGE = "rust"


class Page:
    """A notebook with its outputs, or a text beside notebooks, and what the index says of it."""

    def __init__(self, path, notebook):
        self.folder = path.parent
        self.notebook = notebook
        self.name = path.name
        self.file = f"{path.stem}.html"
        self.slides = f"{path.stem}.slides.html" if slides.are_in(notebook) else None
        first = notebook.cells[0].source if notebook.cells else ""
        title = re.search(r"^# +(.+)$", first, re.MULTILINE)
        quotation = re.search(r"^> *(.+)$", first, re.MULTILINE)
        self.title = title.group(1) if title else path.stem
        self.summary = quotation.group(1) if quotation else ""
        self.minutes = minutes(notebook)


def minutes(notebook):
    """How long a lesson takes, if it says so where it begins."""
    first = notebook.cells[0].source if notebook.cells else ""
    said = re.search(r"^\*\*Time\*\* (\d+) minutes", first, re.MULTILINE)
    return int(said.group(1)) if said else None


def write_site(folder, pages):
    """Writes a page for each notebook and for each text that they lead to, slides, a handout, and an
    index."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = texts_beside(pages)
    everything = pages + texts
    places = dict.fromkeys(texts, (None, None))
    places.update(zip(pages, zip([None, *pages], [*pages[1:], None])))
    sections = []

    def write(file, template, page, **variables):
        variables = {"title": page.title if page else TITLE, "page": page, **variables}
        text = templates(page, everything).get_template(template).render(variables)
        store(folder / file, text)
        return text

    for page, (before, after) in places.items():
        text = write(page.file, "page.html.j2", page, before=before, after=after)
        sections += sections_of(page, text)
        if page.slides:
            write(page.slides, "slides.html.j2", page, slides=slides.of(page.notebook))
    figures = handout.figures(pages)
    if figures:
        write(handout.FILE, "handout.html.j2", None, title=handout.TITLE, figures=figures)
    write(INDEX, "index.html.j2", None, pages=pages, texts=texts, handout=figures and handout)
    # A script, and not data: a page that was opened as a file may fetch nothing.
    store(folder / "sections.js", f"const SECTIONS = {json.dumps(sections, ensure_ascii=False)};\n")
    store(folder / "style.css", colours("xcode") + read("style.css"))
    store(folder / "dark.css", colours("github-dark") + read("dark.css"))
    for name in ["site.js", "slides.js"]:
        store(folder / name, read(name))


def texts_beside(pages):
    """The Markdown files to which notebooks lead, as pages of their own."""
    taken = {INDEX, handout.FILE, *(page.file for page in pages)}
    texts = {}
    for page in pages:
        for cell in page.notebook.cells:
            for name in re.findall(r"\]\(([\w-]+\.md)[)#]", cell.source):
                path = page.folder / name
                is_free = f"{path.stem}.html" not in taken
                if cell.cell_type == "markdown" and path.is_file() and is_free:
                    text = nbformat.v4.new_markdown_cell(path.read_text(encoding="utf-8"))
                    texts[path] = Page(path, nbformat.v4.new_notebook(cells=[text]))
    return list(texts.values())


def templates(page, pages):
    """The templates, with filters for one page of a site."""
    environment = Environment(
        autoescape=True, loader=FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True
    )
    highlight = Highlight2HTML(pygments_lexer=LANGUAGE)
    seen = set()
    environment.filters.update(
        {
            "alternative": alternative,
            "base64": lambda text: base64.b64encode(text.encode()).decode(),
            "code": lambda source: Markup(highlight(source)),
            "label": label,
            "prose": lambda text, cell: Markup(prose(text, cell, page, pages, seen)),
            "terminal": lambda text: Markup(ansi2html(text)),
        }
    )
    return environment


def prose(text, cell, page, pages, seen):
    """Markdown with tables that can scroll, and links that lead somewhere."""
    soup = rendered(text, page.folder, cell.get("attachments"), seen)
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


def sections_of(page, text):
    """What a search looks through: of each part of a page its address, page, heading and text."""
    sections = []
    for element in BeautifulSoup(text, "html.parser").main.find_all([*HEADINGS, "p", "li", "td", "pre"]):
        if element.name in HEADINGS:
            sections.append([f"{page.file}#{element['id']}", page.title, element.get_text(), ""])
        elif not element.find_parent(["p", "li", "td"]):
            # Not every page begins with a heading.
            sections = sections or [[page.file, page.title, page.title, ""]]
            sections[-1][3] += " ".join(element.get_text().split()) + " "
    return sections


def colours(style):
    """The colours of highlighted code, without what pygments has for all of a page."""
    rules = HtmlFormatter(style=style).get_style_defs(".highlight").splitlines(keepends=True)
    return "".join(rule for rule in rules if rule.startswith(".highlight"))


def read(name):
    return (TEMPLATES / name).read_text(encoding="utf-8")


def label(source):
    """What a hidden cell is called: by its first comment, if it begins with one."""
    comment = re.match(r"\s*//+ *(.+)", source)
    return comment.group(1).strip() if comment else "Show the code and its output"


def alternative(output):
    """What a figure shows, in words: the drawing's own, or the plain text beside it."""
    drawing = BeautifulSoup(output.data.get("image/svg+xml", ""), "html.parser")
    words = drawing.svg.get("aria-label") if drawing.svg else None
    return words or output.data.get("text/plain", "")
