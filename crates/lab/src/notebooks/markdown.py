"""Markdown as HTML: its pictures in it, its headings with an address."""

import re

from bs4 import BeautifulSoup
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

HEADINGS = ["h1", "h2", "h3", "h4"]


def rendered(text, folder, attachments=None, seen=None):
    """What a piece of Markdown becomes, as a tree.

    `seen` holds the addresses that the other pieces of the same page have taken.
    """
    renderer = IPythonRenderer(
        escape=False,
        attachments=attachments or {},
        embed_images=True,
        exclude_anchor_links=True,
        path=str(folder),
    )
    soup = BeautifulSoup(MarkdownWithMath(renderer=renderer).render(text), "html.parser")
    seen = set() if seen is None else seen
    for heading in soup.find_all(HEADINGS):
        name = slug(heading.get_text())
        number = 0
        while (address := f"{name}-{number}" if number else name) in seen:
            number += 1
        seen.add(address)
        heading["id"] = address
    return soup


def slug(heading):
    """The address of a heading, as sites that show repositories make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
