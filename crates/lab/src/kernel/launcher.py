"""Starts the Rust kernel in a private copy of a folder in which the notebooks' crates are built.

    launcher.py FOLDER KERNEL [ARGUMENT..]

`cargo lab` puts it beside kernel.json, so that every program that starts kernels by that file
starts them so. Where anything is wrong, the kernel starts without the copy: slower, but right.

In FOLDER, `copies` holds a folder for each kernel and those that build.py made, and `built` is a
link to the last of these. Each has a file `lock`, locked as long as a process lives that the
folder is for. No two kernels share a build: cargo would take one's cells for the other's.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = "lock"
# What crates are built with unless the user has said otherwise: half of what building ours takes.
SETTINGS = {"CARGO_PROFILE_DEV_LTO": "off"}

# Addresses that stand in examples only (RFC 5737, RFC 3849): the way to them is the way to anybody.
ANYBODY = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
# What cargo asks for a proxy.
PROXIES = ("cargo_http_proxy", "http_proxy", "https_proxy", "all_proxy")


def locked(path, how=fcntl.LOCK_EX):
    """The descriptor of a file that is locked by now, for as long as a process has it open."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, how)
    except OSError:
        os.close(file)
        raise
    return file


def new_folder(folder):
    """Makes a folder; returns it with its lock."""
    if any((parent / "Cargo.toml").exists() for parent in (folder, *folder.parents)):
        raise OSError(f"{folder} lies inside of a package, so no kernel can start there")
    if len(str(folder).split()) > 1:
        raise OSError(f"{folder} has spaces in its path, and evcxr runs no cells from there")
    copies = folder / "copies"
    copies.mkdir(parents=True, exist_ok=True)
    # Until a new folder is locked, it looks like one of a dead process.
    guard = locked(folder / LOCK)
    try:
        new = Path(tempfile.mkdtemp(dir=copies))
        return new, locked(new / LOCK)
    finally:
        os.close(guard)


def clear(folder):
    """Removes the folders of dead processes."""
    kept = built(folder)
    guard = locked(folder / LOCK)
    for old in (folder / "copies").iterdir():
        if old == kept:
            continue
        try:
            lock = locked(old / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except OSError:
            shutil.rmtree(old, ignore_errors=True)
            continue
        shutil.rmtree(old, ignore_errors=True)
        os.close(lock)
    os.close(guard)


def built(folder):
    """The folder in which crates are built, or None."""
    try:
        return folder / "copies" / Path(os.readlink(folder / "built")).name
    except OSError:
        return None


def private_copy(folder):
    """Copies what is built; returns what a kernel has to know about the copy."""
    source = built(folder)
    if source is None:
        raise OSError(f"nothing is built in {folder}")
    # Before the copy, which is in vain without it.
    libraries = library_path()
    new, lock = new_folder(folder)
    try:
        reading = locked(source / LOCK, fcntl.LOCK_SH)
        try:
            shutil.copytree(
                source,
                new,
                symlinks=True,
                ignore=shutil.ignore_patterns(LOCK),
                copy_function=link_or_copy,
                dirs_exist_ok=True,
            )
        finally:
            os.close(reading)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        os.close(lock)
        raise
    # The kernel has it, and every process that it starts: they may have libraries of the folder.
    os.set_inheritable(lock, True)
    return {"EVCXR_TMPDIR": str(new), **libraries}


def link_or_copy(source, new):
    """Links a library that rustc has made, and copies any other file.

    rustc never writes into a library that is there, but puts another one in its place, so that the other
    copies keep theirs. Cargo does write into some files, and linkers may; the cells' own libraries are
    among these. What is linked is most of all bytes.
    """
    if source.endswith((".rlib", ".rmeta")):
        try:
            return os.link(source, new)
        except OSError:  # There are systems of files without links.
            pass
    return shutil.copy2(source, new)


def meanwhile(work):
    """Does something in a process of its own, which is nobody's child, so that nobody waits for it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    elif os.fork():
        os._exit(0)
    else:
        # Who reads what the kernel says waits for no other process.
        os.closerange(0, 3)
        try:
            work()
        finally:
            os._exit(0)


def has_network():
    """Whether the system knows a way out of this machine, or a proxy does. Nothing is sent."""
    if any(name.lower() in PROXIES for name in os.environ):
        return True
    for family, address in ANYBODY:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as asked:
                asked.connect((address, 9))
                return True
        except OSError:
            continue
    return False


def library_path():
    """Where a cell's library finds std's, by the variable of the system.

    It has a path of its own, but one that is relative to where it was before evcxr moved it. That
    leads to std all the same from folders that have no folder but the root in common with it.
    """
    rustc = output("rustup", "which", "rustc") or "rustc"
    folder = output(rustc, "--print", "target-libdir")
    if not folder:
        raise OSError("no rustc was found")
    variable = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
    paths = [folder, *filter(None, [os.environ.get(variable)])]
    return {variable: os.pathsep.join(paths)}


def output(*command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def main():
    folder, *command = sys.argv[1:]
    environment = {**SETTINGS, **os.environ}
    # evcxr sets it for everybody, so that joblab cannot see who has asked for backtraces.
    if "RUST_BACKTRACE" in environment:
        environment.setdefault("JOBLAB_BACKTRACE", environment["RUST_BACKTRACE"])
    # Cargo would ask its registry about crates that are here, and give up.
    if "CARGO_NET_OFFLINE" not in environment and not has_network():
        print("There is no network: crates that are here will do.", file=sys.stderr, flush=True)
        environment["CARGO_NET_OFFLINE"] = "true"
    # Who names a folder wants that one.
    if "EVCXR_TMPDIR" not in environment:
        try:
            environment.update(private_copy(Path(folder)))
        except Exception as error:
            print(f"The kernel builds its crates itself: {error}", file=sys.stderr, flush=True)
        meanwhile(lambda: clear(Path(folder)))
    # Python ignores these, and what is ignored stays so.
    for name in ("SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execve(command[0], command, environment)


if __name__ == "__main__":
    main()
