"""The version of this distribution, as a constant: for users, and for the servers that we tell it.

Asking `importlib.metadata` takes longer than all else that `holdfast --version` does, so
the number lives here; a test holds it to the number in the installed metadata.
"""

VERSION = "0.2.0"
