"""Errors as parts of the sentences that flows show."""


def said(error: Exception) -> str:
    """Return what an error says, without its full stop and its capital."""
    words = str(error).removesuffix(".")
    return words[:1].lower() + words[1:]
