"""Runs Rust notebooks headless in the real kernel, and fails where a cell fails."""

import argparse
import asyncio
import copy
import functools
import os
import signal
import sys
import time
from pathlib import Path

import nbformat

import libpython
from exercises import run_and_judge
from files import code_cells, normalise, refuse_paths_of_this_machine, store
from rerun import rerun
from session import SIGNALS, Failure, KernelLost, Session, indent, text_of


async def run_cell(session, name, cells, number, which):
    """Runs a code cell and returns the seconds that it took."""
    _, cell = cells[number]
    where = f"cell {number + 1} of {len(cells)}{which}"
    if sys.stdout.isatty():
        print(f"\r       {name}  {where}", end="\x1b[K", flush=True)
    started = time.monotonic()
    try:
        problem = await run_and_judge(session, cells, number)
    except KernelLost as error:
        problem = str(error)
    if problem is not None:
        source, said = indent(cell.source, "    | "), indent(text_of(cell.outputs))
        raise Failure(where, f"{source}    {problem}\n{said}")
    return time.monotonic() - started


async def run_notebook(path, options):
    """Runs one notebook, stores it if that was asked for, and returns it with its outputs, and the
    number of cells that could not be run here."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except OSError as error:
        raise Failure("cannot be read", indent(error.strerror)) from None
    except (ValueError, nbformat.ValidationError) as error:
        raise Failure("cannot be read", indent(str(error))) from None
    cells, skipped = libpython.split(code_cells(notebook))
    # Where nobody reads the line that says so, or the outputs would be gone.
    if skipped and (options.write or os.environ.get("CI")):
        raise Failure(f"{skipped} cells cannot be run", indent(libpython.REMEDY))
    async with Session(notebook, path.parent, options.timeout) as session:
        run = functools.partial(run_cell, session, path.name, cells)
        for number in range(len(cells)):
            await run(number, "")
        ran = copy.deepcopy(notebook)
        if options.twice:
            for number in range(len(cells)):
                await run(number, ", second run")
        if options.rerun:
            await rerun(session, cells, run)
    normalise(ran)
    try:
        if options.write:
            refuse_paths_of_this_machine(ran, path)
            store(path, nbformat.writes(ran) + "\n")
    except OSError as error:
        raise Failure("cannot be stored", indent(str(error))) from None
    return ran, skipped


async def run_all(options):
    """Runs the notebooks one by one and writes their pages; says whether all went well."""
    failed = 0
    pages = []
    width = max(len(path.name) for path in options.notebooks)
    for path in options.notebooks:
        started = time.monotonic()
        try:
            ran, skipped = await run_notebook(path.resolve(), options)
            pages.append((path.resolve(), ran))
            count, seconds = len(code_cells(ran)) - skipped, time.monotonic() - started
            line, detail = f"ok     {path.name:<{width}}  {count:>3} cells  {seconds:>6.1f} s", ""
            if skipped:
                detail = indent(f"SKIPPED {skipped} cells: {libpython.REMEDY}")
        except Failure as failure:
            failed += 1
            line, detail = f"FAILED {path.name:<{width}}  {failure.where}", failure.detail
        if sys.stdout.isatty():
            print("\r\x1b[K", end="")
        print(line)
        print(detail, end="", flush=True)
    written = write_pages(options.html, pages) if options.html and pages else True
    print(f"{len(options.notebooks) - failed} passed, {failed} failed")
    return written and not failed


def write_pages(folder, notebooks):
    """Writes the notebooks that passed as a site; says whether that worked."""
    # Only here, since it takes a second to load.
    from pages import Page, write_site

    try:
        write_site(folder, [Page(path, notebook) for path, notebook in notebooks])
    except OSError as error:
        print(f"FAILED {folder}  cannot be written: {error}")
        return False
    print(f"pages: {folder / 'index.html'}")
    return True


async def main(options):
    """Runs the notebooks; a signal ends kernel and run at once. Returns the exit status."""
    task = asyncio.current_task()

    def stop(number):
        SIGNALS.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return 0 if await run_all(options) else 1
    except asyncio.CancelledError:
        return 128 + SIGNALS[0]


def arguments():
    parser = argparse.ArgumentParser(prog="cargo lab run")
    parser.add_argument("--twice", action="store_true")
    parser.add_argument("--rerun", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--html", type=Path)
    parser.add_argument("--timeout", type=int)
    parser.add_argument("notebooks", nargs="+", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(arguments())))
