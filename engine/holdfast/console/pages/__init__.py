"""The pages of the console, in the order in which they are looked for.

To add a page, write a module with its functions and a list `PAGES`, and name it here.
"""

from collections.abc import Sequence

from holdfast.console.page import Page, Stream
from holdfast.console.pages import (
    audit,
    batches,
    flow,
    flows,
    health,
    jobs,
    overview,
    start,
    tasks,
    workers,
)

PAGES: Sequence[Page | Stream] = (
    *overview.PAGES,
    *flows.PAGES,
    *flow.PAGES,
    *start.PAGES,
    *batches.PAGES,
    *jobs.PAGES,
    *tasks.PAGES,
    *workers.PAGES,
    *audit.PAGES,
    *health.PAGES,
)
