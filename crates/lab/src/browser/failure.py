"""What is not as it should be, and waiting for what should come about."""

import time


class Failure(Exception):
    """A check that did not pass: where, and what was seen."""

    def __init__(self, where, detail=""):
        super().__init__(where)
        self.where = where
        self.detail = detail


def until(condition, seconds, what, pause=0.02):
    """Waits until a condition holds and returns what it gave; asks after each pause."""
    end = time.monotonic() + seconds
    while True:
        outcome = condition()
        if outcome:
            return outcome
        if time.monotonic() > end:
            raise Failure(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
