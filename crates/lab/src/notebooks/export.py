"""Writes notebooks as they are stored, in other forms; nothing runs."""

import argparse
import sys
from pathlib import Path

import nbformat


def main(options):
    notebooks = [
        (path.resolve(), nbformat.read(path, as_version=4)) for path in options.notebooks
    ]
    try:
        if options.exercises:
            if any(path.parent == options.folder.resolve() for path, _ in notebooks):
                sys.exit(f"error: {options.folder} has the notebooks themselves: name another folder")
            from unsolved import write_unsolved

            write_unsolved(options.folder.resolve(), notebooks)
            print(f"exercises: {options.folder}")
        else:
            from pages import INDEX, Page, write_site

            write_site(options.folder, [Page(*notebook) for notebook in notebooks])
            print(f"pages: {options.folder / INDEX}")
    except OSError as error:
        sys.exit(f"error: cannot write {options.folder}: {error}")


def arguments():
    parser = argparse.ArgumentParser(prog="cargo lab export")
    parser.add_argument("--exercises", action="store_true")
    parser.add_argument("folder", type=Path)
    parser.add_argument("notebooks", nargs="+", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main(arguments())
