"""The version of this distribution, as a constant.

Asking ``importlib.metadata`` takes longer than all else that ``holdfast --version`` does, so
the number lives here; a test holds it to the number in the installed metadata.
"""

VERSION = "0.2.0"
