"""A folder for what a kernel leaves, which goes when the kernel does."""

import asyncio
import shutil
import time

# What was killed has its last writes behind it by then.
MOST_SECONDS = 5.0


async def remove(folder):
    """Removes a folder to which processes that end just now may still write."""
    end = time.monotonic() + MOST_SECONDS
    shutil.rmtree(folder, ignore_errors=True)
    while folder.exists() and time.monotonic() < end:
        await asyncio.sleep(0.05)
        shutil.rmtree(folder, ignore_errors=True)
