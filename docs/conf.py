"""How Sphinx makes the manual; `make docs` runs it, with every warning an error."""

import re
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import attrs

sys.path.insert(0, str(Path(__file__).parent))

import command_reference

project = "Holdfast"
author = "the Holdfast maintainers"
version = release = installed("holdfast-wormhole")

# Nothing here needs a network: no intersphinx, no fonts or scripts from elsewhere.
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

exclude_patterns = ["_build", "bench"]  # what is in bench is included elsewhere
nitpicky = True

# The reference is made from the docstrings.  A name between backquotes is a link if the page has
# it, and code otherwise; types of other packages have no page here to link to.
default_role = "py:obj"
smartquotes_action = "D"  # dashes alone: quotation marks may be code
nitpick_ignore_regex = [("py:obj", ".*"), ("py:class", ".*"), ("py:exc", ".*")]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"Holdfast {version}"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", readable_defaults)
    app.connect("source-read", command_reference.insert)


def readable_defaults(_app: Any, _what: str, _name: str, thing: Any, _: Any, *said: Any) -> Any:
    """Show the defaults of an attrs class as they are, and not as attrs writes them."""
    signature, returns = said
    if not attrs.has(thing) or signature is None:
        return said

    def default(found: re.Match[str]) -> str:
        value = getattr(attrs.fields(thing), found[1]).default
        return f"{value.__module__}.{value.__name__}" if callable(value) else repr(value)

    signature = re.sub(r"attr_dict\['(\w+)'\]\.default", default, signature)
    return signature.replace("NOTHING", "..."), returns
