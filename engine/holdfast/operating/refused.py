"""Why an operator does not get what they asked for, in words for people.

The code that has the screen shows the words, and nothing else of the exception.
"""


class Refused(Exception):
    """Nothing was started: bad input, or something that is needed is not there.

    `words` are one sentence without a final full stop; they say what is wrong, where (file
    and line number) and what to do, and hold nothing secret.
    """

    @property
    def words(self) -> str:
        """What is to be shown."""
        return str(self)


class Stopped(Refused):
    """Something ran, and had to stop before it was finished. Nothing is lost."""


def because(what: str, error: OSError) -> Refused:
    """Turn an operating system's refusal into a `Refused`: `what: its reason`."""
    return Refused(f"{what}: {error.strerror or type(error).__name__}")
