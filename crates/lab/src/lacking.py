"""Prints which of the requirements in the arguments this Python environment does not meet."""

import sys
from importlib.metadata import PackageNotFoundError, version

try:
    from packaging.requirements import Requirement
except ImportError:
    # Every environment that has JupyterLab has it.
    print("jupyterlab")
    sys.exit()

for text in sys.argv[1:]:
    requirement = Requirement(text)
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        print(text)
    else:
        if installed not in requirement.specifier:
            print(f"{text} (it has {installed})")
