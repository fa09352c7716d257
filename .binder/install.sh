#!/usr/bin/env bash
# Makes of Debian with Rust a machine on which JupyterLab shows the first figure in seconds. Binder, a devcontainer and
# Docker have one image, made by this script: their files only call it.
#
#     install.sh system USER UID    as root: Debian's packages, the sources of std, and the user
#     install.sh kernel             as the user: the Rust kernel, which takes minutes and seldom changes
#     install.sh lessons            as the user: JupyterLab, and what the notebooks depend on, built
#
# The last one belongs to the repository in which the script is: it must have a folder of its own, below the user's
# home and not that itself, for no kernel starts inside of a cargo package.
set -euo pipefail

# A kernel works with compilers of its own time: this one goes with the Rust that the Dockerfile names.
evcxr=0.22.0

system() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    # A linker, Python's environments, and Python as a library for lesson 06.
    apt-get install --yes --no-install-recommends ca-certificates gcc git libc6-dev python3-dev python3-venv
    rm -rf /var/lib/apt/lists/*
    # From these the kernel infers the types of variables.
    [[ -d $(rustc --print sysroot)/lib/rustlib/src/rust/library/std ]] || rustup component add rust-src
    id "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --uid "$2" "$1"
}

kernel() {
    command -v evcxr_jupyter >/dev/null || cargo install --locked evcxr_jupyter --version "$evcxr"
    whole_seconds "$(readlink -f "$(command -v evcxr_jupyter)")"
    # The sources of its three hundred crates are used by nothing else.
    rm -rf "${CARGO_HOME:-$HOME/.cargo}/registry"
}

lessons() {
    cd "$(dirname "${BASH_SOURCE[0]}")/.."
    # An image has no .git (see .dockerignore). Where there is one, the files are somebody's.
    [[ -e .git ]] || whole_seconds Cargo.toml Cargo.lock crates environment.yml notebooks
    # Sets all up, has the kernel run a cell, and asks JupyterLab for no more than its version.
    PIP_NO_CACHE_DIR=1 cargo lab --version
}

# Gives files times that a registry of images keeps: with others, all would be built anew after a pull.
whole_seconds() {
    find "$@" -type f -exec touch --date="@$(($(date +%s) - 60))" {} +
}

case "${1-}:$#" in
system:3) system "$2" "$3" ;;
kernel:1 | lessons:1) "$1" ;;
*)
    echo "usage: install.sh system USER UID | kernel | lessons" >&2
    exit 2
    ;;
esac
