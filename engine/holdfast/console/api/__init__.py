"""The HTTP API: flows for programs of any language. Start reading at `routes.py`."""
