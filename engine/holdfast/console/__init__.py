"""The console: pages for operators, and an HTTP API for programs, in a process of its own.

Start reading at `site.py`, which has the way of a request; `pages/flows.py` is a page.
"""
