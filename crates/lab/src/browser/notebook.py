"""A notebook in JupyterLab, used as a person does: by keyboard, menus and dialogs."""

import re
import time

from failure import Failure, until
from pictures import FEWEST_COLOURS
from stored import cells_of

OPEN_SECONDS = 60
# A kernel that starts takes some seconds, and one that died on the way twice as many.
START_SECONDS = 90
# A first cell that compiles the crate, on a machine that is busy.
KERNEL_SECONDS = 180
# A cell that fails ends a run of all cells, and this long the kernel is idle with the rest not run.
STOPPED_SECONDS = 20
WIDTH, HEIGHT = 1400, 900

PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
CELLS = f"{PANEL} .jp-Notebook .jp-Cell"
OUTPUT = ".jp-OutputArea-output"
PLOTS = "svg:not(svg svg), img"
DIALOG = ".jp-Dialog"
# The prompt of a cell that has not run, and of one that has.
NOT_RUN, HAS_RUN = "[ ]:", re.compile(r"\[\d+\]")


class Notebook:
    """The notebook that is open; its cells are numbered from 0, as in the file."""

    def __init__(self, page, path, pictures):
        cells = cells_of(path)
        self.page = page
        self.name = path.stem
        self.code = [cell for cell in cells if cell.is_code]
        self._pictures = pictures
        self._count = len(cells)

    def open(self):
        """Waits until it is there, with a kernel, and with nothing in the way."""
        self.page.locator(CELLS).first.wait_for(timeout=OPEN_SECONDS * 1000)
        try:
            until(self.is_idle, START_SECONDS, f"{self.name} has a kernel that is idle")
        except Failure as failure:
            on_top = self.page.locator(DIALOG).all_inner_texts()
            failure.detail = "\n".join([self._status(), *on_top])
            raise
        self.assert_nothing_pops_up()

    def close(self):
        """Closes the tab and shuts the kernel down."""
        self.menu("File", "Close and Shut Down Notebook…")
        # One dialog asks whether to shut down, another, after a change, whether to save.
        for _ in range(2):
            self.page.wait_for_timeout(500)
            answer = self.page.locator(f"{DIALOG} button.jp-mod-warn, {DIALOG} button.jp-mod-accept")
            if answer.count() and self.page.locator(PANEL).count():
                answer.last.click()
        until(lambda: not self.page.locator(PANEL).count(), 10, f"{self.name} is closed")

    def menu(self, name, entry):
        self.page.locator(".lm-MenuBar-item", has_text=name).click()
        self._entry(entry).click()

    def _entry(self, name):
        label = re.compile(f"^{re.escape(name)}$")
        return self.page.locator(".lm-Menu-itemLabel", has_text=label)

    def choose_theme(self, theme):
        self.page.locator(".lm-MenuBar-item", has_text="Settings").click()
        for entry in ("Theme", theme):
            self._entry(entry).click()
        self.page.wait_for_function(
            "name => document.body.dataset.jpThemeName === name", arg=theme, timeout=10_000
        )

    def assert_nothing_pops_up(self):
        for what in (DIALOG, ".Toastify__toast"):
            for found in self.page.locator(what).all():
                raise Failure("JupyterLab shows something on top", found.inner_text())

    def is_idle(self):
        return "Rust | Idle" in self._status()

    def has_kernel(self):
        return any(f"Rust | {state}" in self._status() for state in ("Idle", "Busy"))

    def _status(self):
        return self.page.locator("#jp-main-statusbar").inner_text()

    def at(self, cell):
        """The cell as an element of the page."""
        return self.page.locator(f'{CELLS}[data-windowed-list-index="{index_of(cell)}"]')

    def go(self, cell):
        """Selects a cell, which scrolls to it; a collapsed one is opened, as readers do."""
        wanted = index_of(cell)
        placeholder = self.at(cell).locator(".jp-InputPlaceholder")
        if placeholder.is_visible():
            # The keyboard passes collapsed cells over.
            placeholder.click()
        self.page.locator(f"{PANEL} .jp-Notebook").focus()
        self.page.keyboard.press("Escape")

        def selected():
            active = self.page.locator(f"{CELLS}.jp-mod-active")
            index = int(active.get_attribute("data-windowed-list-index"))
            if index != wanted:
                self.page.keyboard.press("ArrowUp" if index > wanted else "ArrowDown")
            return index == wanted

        until(selected, 20, f"cell {wanted} is selected")
        element = self.at(cell)
        element.scroll_into_view_if_needed()
        return element

    def prompt(self, cell):
        """As it stands in the page: the browser renders no text of cells that are out of view."""
        return self.at(cell).locator(".jp-InputPrompt").first.text_content()

    def start(self, cell):
        """Runs a cell; returns what its prompt was before."""
        self.go(cell)
        before = self.prompt(cell)
        self.page.keyboard.press("Control+Enter")
        return before

    def wait_for(self, cell, before, seconds):
        """Waits for the end of a cell, or of all cells if it is the last, or until the run stops."""
        waited_for = []
        working = time.monotonic()

        def is_done():
            nonlocal working
            prompt, is_idle = self.prompt(cell), self.is_idle()
            if prompt != before:
                waited_for.append(prompt)
            if not is_idle or prompt != NOT_RUN:
                working = time.monotonic()
            ended = waited_for and HAS_RUN.match(prompt) and is_idle
            return ended or time.monotonic() - working > STOPPED_SECONDS

        try:
            # A question costs some of the CPU time that the cells should have.
            until(is_done, seconds, f"the end of cell {index_of(cell)} of {self.name}", 0.2)
        except Failure as failure:
            prompts = self.page.locator(f"{CELLS} .jp-InputPrompt").all_text_contents()
            failure.detail = f"{self._status()}\n{' '.join(prompts)}"
            raise

    def run(self, cell, seconds=KERNEL_SECONDS):
        self.wait_for(cell, self.start(cell), seconds)
        self.assert_ran(cell)

    def run_all(self, seconds):
        before = self._prompt_of_last()
        self.menu("Run", "Run All Cells")
        self._wait_for_all(before, seconds)

    def restart_and_run_all(self, seconds):
        before = self._prompt_of_last()
        self.menu("Kernel", "Restart Kernel and Run All Cells…")
        self.page.locator(f"{DIALOG} button.jp-mod-warn, {DIALOG} button.jp-mod-accept").last.click()
        # JupyterLab shows the last cell when it has sent them all; people look at the first.
        until(lambda: "*" in self.prompt(self.code[-1]), seconds, "the cells are to run")
        until(self.has_kernel, START_SECONDS, f"{self.name} has a kernel after the restart")
        self.go(self.code[0])
        self.picture("while its set-up cell runs")
        self._wait_for_all(before, seconds)

    def _prompt_of_last(self):
        self.go(self.code[-1])
        return self.prompt(self.code[-1])

    def _wait_for_all(self, before, seconds):
        self.wait_for(self.code[-1], before, seconds)
        numbers = []
        for cell in self.code:
            self.assert_ran(cell)
            self.assert_plots_are_drawn(cell)
            numbers.append(int(self.prompt(cell).strip("[]: ")))
        if numbers != sorted(set(numbers)):
            raise Failure("the cells did not run in order", f"{numbers}")

    def kinds(self, cell):
        """The MIME types of a cell's outputs."""
        outputs = self.at(cell).locator(OUTPUT)
        return outputs.evaluate_all("all => all.map(one => one.dataset.mimeType)")

    def text(self, cell):
        return "\n".join(self.at(cell).locator(OUTPUT).all_inner_texts())

    def assert_ran(self, cell):
        """A clean run's outcome: an error where one is wanted, stderr where the stored run has it."""
        self.go(cell)
        kinds = self.kinds(cell)
        failed = "application/vnd.jupyter.error" in kinds
        complains = "application/vnd.jupyter.stderr" in kinds
        if cell.has_to_fail:
            # A panic or an early return shows on stderr only.
            if not failed and not complains:
                raise Failure(f"cell {cell.index} has to fail but passed")
        elif failed or (complains and not cell.has_stderr):
            self._pictures.take(self.page, f"{self.name} failed in cell {cell.index}")
            raise Failure(f"cell {cell.index} failed", f"{cell.source}\n{self.text(cell)}")
        if not HAS_RUN.match(self.prompt(cell)):
            raise Failure(f"cell {cell.index} did not run", self.prompt(cell))

    def assert_plots_are_drawn(self, cell):
        """Looks at each plot: it has a place in the page, and more than one colour there."""
        if not cell.plots:
            return
        self.go(cell)
        where = f"{self.name} cell {cell.index}"
        of_cell = self.at(cell).locator(OUTPUT).locator(PLOTS)

        def drawn():
            plots = [plot for plot in of_cell.all() if plot.is_visible()]
            return plots if len(plots) >= cell.plots else None

        for number, plot in enumerate(until(drawn, 10, f"{where} shows {cell.plots} plots"), 1):
            plot.scroll_into_view_if_needed()
            colours = self._pictures.take(plot, f"{where} plot {number}")
            if colours < FEWEST_COLOURS:
                raise Failure(f"{where}: plot {number} is blank", f"{colours} colours")

    def edit(self, cell, line):
        """Types a line above what a cell says."""
        self.go(cell)
        self.page.keyboard.press("Enter")
        self.page.keyboard.press("Control+Home")
        self.page.keyboard.insert_text(line)
        self.page.keyboard.press("Enter")
        self.page.keyboard.press("Escape")

    def add(self, source):
        """Adds a cell at the end; returns its index."""
        self.go(self._count - 1)
        self.page.keyboard.press("b")
        self._count += 1
        self.rewrite(self._count - 1, source)
        return self._count - 1

    def rewrite(self, cell, source):
        self.go(cell)
        self.page.keyboard.press("Enter")
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Escape")

    def picture(self, caption):
        self._pictures.take(self.page, f"{self.name} {caption}")

    def picture_of_all(self, caption):
        """A picture of the whole notebook, in a window that is as high."""
        height = HEIGHT
        # Cells that were never in view have no height yet, so the second look sees more.
        for height in (8000, 8000):
            self.page.set_viewport_size({"width": WIDTH, "height": height})
            self.go(0)
            self.page.wait_for_timeout(500)
        bottoms = "all => Math.max(...all.map(one => one.getBoundingClientRect().bottom))"
        height = int(self.page.locator(CELLS).evaluate_all(bottoms)) + 60
        self.page.set_viewport_size({"width": WIDTH, "height": max(HEIGHT, height)})
        self.page.wait_for_timeout(500)
        self.picture(caption)
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def index_of(cell):
    return cell if isinstance(cell, int) else cell.index
