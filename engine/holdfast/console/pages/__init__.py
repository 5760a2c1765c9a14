"""The pages of the console, in the order in which they are looked for.

To add a page, write a module with its functions and a list `PAGES`, and name it here.
"""

from collections.abc import Sequence

from holdfast.console.page import Page, Stream
from holdfast.console.pages import batches, flow, flows, jobs, overview, start

PAGES: Sequence[Page | Stream] = (
    *overview.PAGES,
    *flows.PAGES,
    *flow.PAGES,
    *start.PAGES,
    *batches.PAGES,
    *jobs.PAGES,
)
