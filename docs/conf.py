"""How Sphinx makes the manual; `make docs` runs it, with every warning an error."""

from importlib.metadata import version as installed

project = "Holdfast"
author = "the Holdfast maintainers"
version = release = installed("holdfast")

# Nothing here needs a network: no intersphinx, no fonts or scripts from elsewhere.
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

exclude_patterns = ["_build"]
nitpicky = True
html_theme = "furo"
html_title = f"Holdfast {version}"
