"""Checks what notebooks and texts say of each other, as they are stored: links, lessons, slides, and that
teachers find the same three things for each lesson."""

import argparse
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat

import slides
from markdown import HEADINGS, rendered
from pages import minutes

# Texts that list all lessons, by their path in the workspace.
LISTS = ["README.md", "notebooks/00-index.ipynb", "notebooks/teachers.md"]
# For each lesson, and how many points it has at least.
FOR_TEACHERS = {"Answers to expect": 3, "Misconceptions": 3, "Two more exercises": 2}
# What leads out of the repository: nobody asks the network here.
ELSEWHERE = re.compile(r"[a-z]+:|//")


def pieces_of(path):
    """The pieces of Markdown in a file."""
    if path.suffix == ".md":
        return [path.read_text(encoding="utf-8")]
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


class Text:
    """Where a file's links lead, and what can be led to in it."""

    def __init__(self, path):
        self.path = path
        seen = set()
        pieces = [rendered(piece, path.parent, seen=seen) for piece in pieces_of(path)]
        self.pieces = pieces
        self.tables = [row for piece in pieces for row in piece.find_all("tr")]
        self.headings = {heading["id"] for piece in pieces for heading in piece.find_all(HEADINGS)}
        named = (piece.select("[id], [name]") for piece in pieces)
        self.headings |= {it.get("id") or it["name"] for them in named for it in them}
        links = [link for piece in pieces for link in piece.select("a[href], img[src]")]
        links = [unquote(link.get("href") or link["src"]) for link in links]
        self.links = [link for link in links if not ELSEWHERE.match(link)]


def broken_links(texts):
    for text in texts.values():
        for link in text.links:
            name, _, anchor = link.partition("#")
            target = (text.path.parent / name).resolve() if name else text.path
            if not target.exists():
                yield f"{text.path}: {link} leads to no file"
            elif anchor and target in texts and anchor not in texts[target].headings:
                yield f"{text.path}: {link} leads to no heading"


def unlisted(root, texts, lessons):
    """Lessons that a list leaves out, or of which it says that they take another time."""
    for name in LISTS:
        text = texts[root / name]
        for lesson in lessons:
            took = minutes(nbformat.read(lesson, as_version=4))
            leads = {link.partition("#")[0].rpartition("/")[2] for link in text.links}
            if lesson != text.path and lesson.name not in leads:
                yield f"{text.path}: it has no link to {lesson.name}"
            for row in text.tables:
                cells = [cell.get_text() for cell in row.find_all("td")]
                said = [cell for cell in cells if cell.isdigit()]
                is_its = row.find("a", href=re.compile(re.escape(lesson.name)))
                if is_its and said and said[0] != str(took):
                    yield f"{text.path}: {lesson.name} takes {took} minutes, not {said[0]}"


def untaught(text, lessons):
    """Lessons of which the text for teachers lacks a part."""
    parts, part = {}, []
    for element in text.pieces[0].find_all(["h2", "p", "li"]):
        if element.name == "h2":
            lesson = element.find("a", href=True)
            points, part = parts.setdefault(lesson and lesson["href"], {}), []
        elif element.name == "p" and element.get_text() in FOR_TEACHERS:
            part = points.setdefault(element.get_text(), [])
        elif element.name == "li":
            part.append(element)
    for lesson in lessons:
        for part, least in FOR_TEACHERS.items():
            if len(parts.get(lesson.name, {}).get(part, [])) < least:
                yield f"{text.path}: {part}, of {lesson.name}, has not {least} points"


def main(root):
    lessons = sorted((root / "notebooks").glob("*.ipynb"))
    paths = [*lessons, *root.glob("*.md"), *root.glob("notebooks/*.md"), *root.glob("crates/**/*.md")]
    texts = {path: Text(path) for path in paths}
    faults = [*broken_links(texts), *unlisted(root, texts, lessons)]
    # The first is the index, and has nothing to answer.
    faults += untaught(texts[root / "notebooks/teachers.md"], lessons[1:])
    for lesson in lessons:
        notebook = nbformat.read(lesson, as_version=4)
        faults += [f"{lesson}: {fault}" for fault in slides.faults(notebook)]
    for fault in faults:
        print(f"FAILED {fault}".replace(f"{root}/", ""))
    links = sum(len(text.links) for text in texts.values())
    print(f"{len(texts)} texts with {links} links, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    sys.exit(main(parser.parse_args().root.resolve()))
