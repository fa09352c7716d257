"""Builds what the notebooks depend on, for kernels to start with: see launcher.py.

    build.py FOLDER CRATE NOTEBOOK.. <STAMP

A kernel runs the `:dep` lines of the notebooks. CRATE is where our crate is: when it is gone, so
may FOLDER be. STAMP says of what the build was made; it is found in the file `stamp`.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from jupyter_client.manager import start_new_kernel

import launcher

SECONDS = 600
# On a busy machine evcxr can die while it starts.
STARTS = 3


def cells(notebooks):
    """The `:dep` lines, as they stand together in cells; each such cell once."""
    found = {}
    for path in notebooks:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            lines = "".join(cell["source"]).splitlines()
            commands = [line for line in lines if line.startswith(":dep ")]
            if cell["cell_type"] == "code" and commands:
                found["\n".join(commands)] = None
    return list(found)


def start(environment, cwd):
    for left in reversed(range(STARTS)):
        try:
            return start_new_kernel(
                kernel_name="rust", startup_timeout=SECONDS, cwd=cwd, env=environment
            )
        except RuntimeError:
            if not left:
                raise


def run(folder, sources, cwd):
    """Runs cells in a kernel whose build folder it is. Fails if the first of them does."""
    own = {"EVCXR_TMPDIR": str(folder), **launcher.library_path()}
    manager, client = start({**os.environ, **own}, cwd)
    try:
        for number, source in enumerate(sources):
            said = []
            reply = client.execute_interactive(
                source, allow_stdin=False, timeout=SECONDS, output_hook=said.append
            )
            if reply["content"]["status"] == "ok":
                continue
            words = [message["content"].get("evalue", "") for message in said]
            print(f"{source}\n{''.join(words)}", file=sys.stderr)
            if number == 0:
                sys.exit("the notebooks' first `:dep` does not build")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def leave_crates_only(folder):
    """Removes what is of cells, and what only helps to build a crate that has changed."""
    shutil.rmtree(folder / "src", ignore_errors=True)
    for path in sorted(folder.glob("target/**/*")):
        of_cell = path.name.startswith(("ctx-", "ctx.", "libctx.", "libcode_"))
        if path.name == "incremental" or (of_cell and path.is_dir()):
            shutil.rmtree(path, ignore_errors=True)
        elif of_cell:
            path.unlink(missing_ok=True)


def forget_others(folder):
    """Removes what was built for crates that are no more."""
    for other in folder.parent.glob("*/crate"):
        if not Path(other.read_text()).exists():
            shutil.rmtree(other.parent, ignore_errors=True)


def main():
    folder, crate, *notebooks = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "crate").write_text(str(crate))
    forget_others(folder)
    new, lock = launcher.new_folder(folder)
    launcher.clear(folder)
    run(new, cells(notebooks), notebooks[0].parent)
    leave_crates_only(new)
    (new / "stamp").write_text(sys.stdin.read())
    # Only now, and at once: nobody copies half of it.
    link = new / "link"
    link.symlink_to(new)
    link.replace(folder / "built")
    os.close(lock)


if __name__ == "__main__":
    main()
