"""Opens the notebooks in the real JupyterLab and looks at what a person would see.

Every notebook is opened and run, and each of its plots must be drawn, not merely present. One that
uses a pool of processes goes through everything people do: cells out of order, an edited cell, an
interrupt, a restart.
"""

import argparse
import sys
import time
from pathlib import Path

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import sync_playwright

import viewer
from failure import Failure, until
from notebook import HEIGHT, OUTPUT, WIDTH, Notebook
from pictures import Pictures
from server import Server
from stored import cells_of

# The browser needs no GPU, no sandbox of its own (containers have none to give), and no network.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RUN_SECONDS = 400
INTERRUPT_SECONDS = 10
# As many of the server's last lines are shown where a kernel did not come up.
LAST_WORDS = 30
EDITED = "this line was typed in the browser"
# A call that every notebook can make once the crate is there, whatever its variables are.
POOL = (
    "joblab::Parallel::new(2).backend(joblab::Backend::Multiprocessing)"
    ".map(joblab::wait_loop_nogil, [{n}; {tasks}])?;"
)


def opened(server, browser, path, pictures):
    """The notebook in a page of its own, with a kernel.

    A kernel that does not come up gets a second chance, and the output says so: evcxr ends where a
    question to its control channel is withdrawn before it could answer, and on a machine that is
    busy Jupyter's server does that.
    """
    deaths = server.deaths()
    for is_last in (False, True):
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address_of(path, server.address()))
        notebook = Notebook(page, path, pictures)
        try:
            notebook.open()
            return notebook
        except (Failure, BrowserError) as error:
            pictures.take(page, f"{path.stem} as it opened")
            lacks_kernel = isinstance(error, Failure) and (
                server.deaths() > deaths or not notebook.is_idle()
            )
            page.close()
            if is_last or not lacks_kernel:
                raise
            tell("AGAIN", path.name, error)
            print(*server.words().splitlines()[-LAST_WORDS:], sep="\n", flush=True)
            server.end_kernels()


def read(notebook):
    """What every notebook must stand: it opens with its stored plots, and runs."""
    notebook.picture("opened")
    for cell in notebook.code:
        notebook.assert_plots_are_drawn(cell)
    notebook.run_all(RUN_SECONDS)
    notebook.assert_nothing_pops_up()
    notebook.picture_of_all("after a run")
    notebook.choose_theme("JupyterLab Dark")
    notebook.picture_of_all("in the dark theme")
    notebook.choose_theme("JupyterLab Light")


def rerun(server, notebook):
    """What people do with a notebook that has run."""
    step("cells out of order")
    for cell in notebook.code[::-2]:
        notebook.run(cell, RUN_SECONDS)
        notebook.assert_plots_are_drawn(cell)

    step("an edited cell")
    cell = next(cell for cell in notebook.code if may_be_edited(cell))
    notebook.edit(cell, f'println!("{EDITED}");')
    notebook.run(cell, RUN_SECONDS)
    if EDITED not in notebook.text(cell):
        raise Failure(f"cell {cell.index} does not show what was typed", notebook.text(cell))
    notebook.picture("edited")

    if server.sees_processes:
        step("an interrupt")
        interrupt(server, notebook)

    step("a restart")
    deaths = server.deaths()
    try:
        notebook.restart_and_run_all(RUN_SECONDS)
    except Failure as failure:
        if server.deaths() == deaths:
            raise
        # See `opened`.
        tell("AGAIN", notebook.name, failure)
        notebook.page.reload()
        notebook.open()
        notebook.restart_and_run_all(RUN_SECONDS)
    notebook.picture_of_all("restarted")


def may_be_edited(cell):
    """Whether a line of code may stand above what the cell says: not above a kernel's command."""
    has_command = any(line.startswith(":") for line in cell.source.splitlines())
    return not (has_command or cell.is_hidden or cell.has_to_fail)


def interrupt(server, notebook):
    """Interrupts a cell that keeps a pool of processes busy, and goes on."""
    others = server.workers()
    cell = notebook.add(POOL.format(n=4000, tasks=1000))
    notebook.start(cell)
    until(lambda: len(server.workers() - others) == 2, RUN_SECONDS, "two workers compute")
    begun = time.monotonic()
    notebook.menu("Kernel", "Interrupt Kernel")
    until(lambda: not server.workers(), INTERRUPT_SECONDS, "no worker outlives the interrupt")
    notebook.wait_for(cell, "", INTERRUPT_SECONDS)
    print(f"       ready again {time.monotonic() - begun:.1f} s after the interrupt")
    if not notebook.text(cell):
        raise Failure("the interrupted cell does not say that it was")
    notebook.at(cell).locator(OUTPUT).last.scroll_into_view_if_needed()
    notebook.picture("interrupted")
    # The variables are gone, and the set-up cell brings back what the others need.
    notebook.run(notebook.code[0])
    notebook.rewrite(cell, POOL.format(n=300, tasks=8))
    notebook.wait_for(cell, notebook.start(cell), RUN_SECONDS)
    if notebook.kinds(cell):
        raise Failure("no pool of processes after an interrupt", notebook.text(cell))


def step(what):
    print(f"       {what}", flush=True)


def tell(verdict, name, error):
    print(f"{verdict:<6} {name}  {getattr(error, 'where', error)}")
    for line in getattr(error, "detail", "").splitlines():
        print(f"    {line}")


def check(server, browser, path, pictures, everything):
    """Checks one notebook; says whether it passed."""
    begun = time.monotonic()
    notebook = None
    try:
        notebook = opened(server, browser, path, pictures)
        read(notebook)
        if everything:
            rerun(server, notebook)
        notebook.close()
        until(lambda: not server.workers(), INTERRUPT_SECONDS, "no worker outlives its kernel")
    except (Failure, BrowserError) as error:
        tell("FAILED", path.name, error)
        if notebook:
            pictures.take(notebook.page, f"{path.stem} as it failed")
        return False
    finally:
        if notebook:
            notebook.page.close()
        sys.stdout.flush()
    plots = sum(cell.plots for cell in notebook.code)
    seconds = time.monotonic() - begun
    print(f"ok     {path.name}  {len(notebook.code)} cells, {plots} plots  {seconds:.1f} s", flush=True)
    return True


def uses_processes(path):
    return any("Backend::Multiprocessing" in cell.source for cell in cells_of(path))


def address_of(path, printed):
    """The printed address opens the first notebook; `reset` closes what another has left open."""
    folder, _, name_and_token = printed.rpartition("/")
    name, token = name_and_token.split("?")
    return printed if name == path.name else f"{folder}/{path.name}?{token}&reset"


def check_all(options):
    """Checks the notebooks one after another; returns the exit status."""
    thorough = next(filter(uses_processes, options.notebooks), options.notebooks[0])
    failed = 0
    with Server(options.lab, options.workspace) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=FLAGS)
        pictures = Pictures(options.pictures, browser.new_page())
        for path in options.notebooks:
            if not check(server, browser, path, pictures, path == thorough):
                failed += 1
        try:
            print(viewer.check(browser, options.workspace, pictures))
        except (Failure, BrowserError) as error:
            tell("FAILED", "a trace in a viewer", error)
            failed += 1
        browser.close()
        try:
            server.assert_ends()
        except Failure as failure:
            failed += 1
            print(f"FAILED {failure.where}: {sorted(server.processes())}")
    print(f"{len(options.notebooks)} notebooks in JupyterLab, {failed} failures")
    print(f"screenshots: {options.pictures / 'index.html'}")
    return 1 if failed else 0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab", required=True)
    parser.add_argument("--browser", required=True)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("notebooks", nargs="+", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(check_all(arguments()))
    except Failure as failure:
        sys.exit(f"FAILED {failure.where}\n{failure.detail}")
