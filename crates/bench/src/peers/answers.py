"""How a participant in Python is asked and answers: lines of JSON on stdin and stdout."""

import json
import os
import platform
import sys


def serve(make, version):
    """Answers each case with what `make()` has a method for: the value, or why there is none."""
    # What libraries print must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    cases = make()
    print(json.dumps({"python": platform.python_version(), "version": version}), file=answers)
    for line in sys.stdin:
        case = json.loads(line)
        work = case.pop("work").replace("-", "_")
        try:
            answer = {"value": getattr(cases, work)(**case)}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)
    cases.close()
