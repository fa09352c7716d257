"""Checks the pages that `cargo lab export` wrote: as HTML, as a web of links, and in a browser."""

import argparse
import re
import sys
from pathlib import Path
from urllib.parse import unquote

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import expect, sync_playwright
from tinyhtml5.parser import HTMLParser

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
# A word of the glossary, and where a search for it has to lead.
WORD, ITS_PLACE = "oversubscription", "glossary.html#oversubscription"
SHEETS = ["A4", "Letter"]


class Page:
    """A page as a checker of HTML reads it."""

    def __init__(self, path):
        parser = HTMLParser(namespace_html_elements=False)
        tree = parser.parse(path.read_text(encoding="utf-8"))
        self.faults = [f"line {line}: {what} {of or ''}" for (line, _), what, of in parser.errors]
        elements = list(tree.iter())
        ids = [element.get("id") for element in elements if element.get("id")]
        self.ids = set(ids)
        self.faults += [f"two elements are #{it}" for it in sorted(self.ids) if ids.count(it) > 1]
        self.faults += ["a picture has no words" for it in elements if it.tag == "img" and not it.get("alt")]
        links = (element.get("href") or element.get("src") for element in elements)
        self.links = [unquote(link) for link in links if link and not re.match(r"[a-z]+:", link)]


def faults_of(folder):
    """What is wrong with the pages as files, one line for each."""
    pages = {path.name: Page(path) for path in sorted(folder.glob("*.html"))}
    for name, page in pages.items():
        yield from (f"{name}: {fault}" for fault in page.faults)
        for link in page.links:
            file, _, anchor = link.partition("#")
            if file and not (folder / file).is_file():
                yield f"{name}: {link} leads to no page"
            elif anchor and anchor not in pages[file or name].ids:
                yield f"{name}: {link} leads to nothing on its page"


class Visitor:
    """Somebody who opens the pages as files, without a server."""

    def __init__(self, browser, folder, pictures):
        self.folder = folder
        self.pictures = pictures
        self.context = browser.new_context(color_scheme="light")
        self.page = self.context.new_page()
        self.faults = []
        self.page.on("pageerror", lambda error: self.fault(f"script: {error}"))
        self.page.on("requestfailed", lambda request: self.fault(f"not there: {request.url[:200]}"))
        self.page.on("request", self.see_request)

    def fault(self, what):
        self.faults.append(f"{Path(self.page.url).name}: {what}")

    def see_request(self, request):
        if not request.url.startswith(("file:", "data:")):
            self.fault(f"needs the network: {request.url[:200]}")

    def tries(self, what, *arguments):
        try:
            what(*arguments)
        except (AssertionError, BrowserError) as error:
            self.fault(f"{what.__name__}: {error}")

    def open(self, name, size):
        self.page.set_viewport_size(size)
        self.page.goto((self.folder / name).as_uri())

    def picture(self, name):
        self.page.screenshot(path=self.pictures / f"{name}.png")

    def ground(self):
        return self.page.evaluate("getComputedStyle(document.body).backgroundColor")

    def looks_at(self, name):
        """At a desk and on a phone, where a page must not be wider than the screen, in both themes."""
        for size, where in [(DESK, "desk"), (PHONE, "phone")]:
            grounds = set()
            for theme in ["light", "dark"]:
                self.page.emulate_media(color_scheme=theme)
                self.open(name, size)
                grounds.add(self.ground())
                self.picture(f"{name}-{where}-{theme}")
            if len(grounds) != 2:
                self.fault(f"both themes have the ground {grounds}")
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            if wide > size["width"]:
                self.fault(f"it is {wide} wide on a screen of {size['width']}")
        self.page.emulate_media(color_scheme="light")

    def chooses_a_theme(self):
        self.open("index.html", DESK)
        light = self.ground()
        self.page.click("#theme")
        with self.page.expect_navigation():
            self.page.click("main a")
        if self.ground() == light:
            self.fault("the chosen theme is not that of the next page")
        self.page.click("#theme")
        if self.ground() != light:
            self.fault("the switch does not lead back to the light theme")

    def searches(self):
        self.open("index.html", PHONE)
        self.page.fill("#search", f"no {WORD} no such words")
        expect(self.page.locator("#found")).to_contain_text("Nothing")
        self.page.fill("#search", WORD[:-3].upper())
        expect(self.page.locator("#found a").first).to_have_attribute("href", ITS_PLACE)
        self.picture("search")
        self.page.press("#search", "Enter")
        expect(self.page.locator(":target")).to_be_in_viewport()

    def prints(self, name):
        self.open(name, DESK)
        for sheet in SHEETS:
            document = self.page.pdf(format=sheet)
            (self.pictures / f"{name}-{sheet}.pdf").write_bytes(document)
            count = len(re.findall(rb"/Type\s*/Page\b", document))
            if count != 1:
                self.fault(f"it takes {count} sheets of {sheet}")

    def presents(self, name):
        self.open(name, DESK)
        high = self.page.locator(".slide").evaluate_all("them => them.map(it => it.offsetHeight)")
        for number, height in enumerate(high, 1):
            if height > DESK["height"]:
                self.fault(f"slide {number} is {height} high on a screen of {DESK['height']}")
        for key, place in [("ArrowRight", "2 /"), ("PageDown", "3 /"), ("ArrowLeft", "2 /")]:
            self.page.keyboard.press(key)
            expect(self.page.locator("#place")).to_contain_text(re.compile(f"^{place}"))


def visit(options):
    """What is wrong with the pages in a browser."""
    options.pictures.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in options.folder.glob("*.html"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.browser, args=["--no-sandbox", "--disable-gpu"]
        )
        visitor = Visitor(browser, options.folder.resolve(), options.pictures)
        for name in names:
            visitor.tries(visitor.looks_at, name)
            if name.endswith(".slides.html"):
                visitor.tries(visitor.presents, name)
        visitor.tries(visitor.chooses_a_theme)
        visitor.tries(visitor.searches)
        visitor.tries(visitor.prints, "handout.html")
        browser.close()
    print(f"{len(names)} pages in a browser, pictures: {options.pictures}")
    return visitor.faults


def main(options):
    faults = list(faults_of(options.folder))
    if options.browser:
        faults += visit(options)
    for fault in faults:
        print(f"FAILED {fault}")
    print(f"{options.folder}: {len(faults)} faults")
    return 1 if faults else 0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--browser", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("folder", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(arguments()))
