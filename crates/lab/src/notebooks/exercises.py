"""Exercises: a cell for the reader, a check (tag `check`) and a solution (tag `solution`) below it.

The check has to find fault with the reader's cell as it is stored, and none with the solution.
"""

from session import indent, text_of

# What a check says first.
UNSOLVED, SOLVED = "Not yet", "Well done"


def tags_of(cell):
    return cell.metadata.get("tags", [])


async def run_and_judge(session, cells, number):
    """Runs a code cell and says what went wrong, or None. A cell that is to fail must fail."""
    index, cell = cells[number]
    problem = await session.run(cell, index)
    tags = tags_of(cell)
    if "raises-exception" in tags:
        return None if problem else "the cell has to fail (tag raises-exception) but passed"
    if problem is None and "check" in tags:
        return wrong_verdict(text_of(cell.outputs), UNSOLVED)
    if problem is None and "solution" in tags:
        return await check_solution(session, cells[:number])
    return problem


async def check_solution(session, above):
    """Runs the last check above a solution once more; returns what is wrong, or None.

    Its outputs stay as they were: a reader's check comes before the solution.
    """
    check = next((place for place in reversed(above) if "check" in tags_of(place[1])), None)
    if check is None:
        return "a solution (tag solution) needs a check above it (tag check)"
    index, cell = check
    outputs = cell.outputs
    problem = await session.run(cell, index)
    said = text_of(cell.outputs)
    cell.outputs = outputs
    problem = problem or wrong_verdict(said, SOLVED)
    return problem and f"{problem} after the solution; it said\n{indent(said)}".rstrip()


def wrong_verdict(said, wanted):
    """What is wrong with what a check said, or None."""
    return None if said.startswith(wanted) else f'the check has to say "{wanted}"'
