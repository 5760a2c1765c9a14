"""The version of this distribution, as a constant: for users, and for the servers that we tell it.

To ask `importlib.metadata` takes longer than everything else that `holdfast --version` does, so
the number is here. A test compares it with the number in the installed metadata.
"""

VERSION = "0.2.0"
