"""What people do with a notebook that has run: its cells again, in other ways than at first."""

import asyncio
import time

from session import Failure, KernelLost, indent

# A cell that takes longer is not run twice in a row, unless that is the machine's doing: then the
# quickest of the other cells takes a good part of it too.
LONG_SECONDS = 2.0
QUICK_TIMES = 5
# A cell that takes this part of the longest one's time is long enough to be interrupted midway.
LONG_PART = 5
# What ends does so a moment after the cell, but for Dask's bridge, which gives itself 5 s to say
# goodbye, and what ends after it. What has leaked stays.
LEAK_SECONDS = 20.0


async def rerun(session, cells, run):
    """Runs every cell again and interrupts a long one; nothing may pile up.

    `run` runs a cell and says how long it took.
    """
    first = session.census()
    seconds = []
    for number in range(len(cells)):
        seconds.append(await run(number, ", again"))
        if seconds[number] <= max(LONG_SECONDS, QUICK_TIMES * min(seconds[:-1], default=0)):
            await run(number, ", twice in a row")
    await assert_no_more_than(session, first, "after every cell ran again")

    # The first of the long cells, for all before it have to run once more.
    long = max(seconds) / LONG_PART
    middle = next(number for number, took in enumerate(seconds) if took >= long)
    after = seconds[middle] / 2
    try:
        while not await session.interrupt(*cells[middle], after):
            # It was faster than before.
            after /= 2
    except KernelLost as lost:
        raise Failure(f"cell {middle + 1} of {len(cells)}, interrupted", indent(str(lost))) from None
    # The process that runs cells is new, and alone.
    await assert_no_more_than(session, (1, first[1]), "after an interrupt")
    for number in range(middle + 1):
        await run(number, ", after an interrupt")
    await assert_no_more_than(session, first, "after an interrupt and a new start")


async def assert_no_more_than(session, most, when):
    end = time.monotonic() + LEAK_SECONDS
    while True:
        found = session.census()
        if all(now <= before for now, before in zip(found, most)):
            return
        if time.monotonic() > end:
            counts = (
                f"{found[0]} processes with {found[1]} threads, "
                f"where at most {most[0]} with {most[1]} should be"
            )
            raise Failure(f"something is left {when}", indent(counts))
        await asyncio.sleep(0.1)
