"""The one error a user is meant to read: a sentence that says what is wrong, where, and what would be right."""


class UserError(Exception):
    """A mistake in what the user gave: a file, a column, an option. The command line prints it without a traceback
    and exits with code 2; the HTTP server answers 4xx.

    >>> latentcrs.load("nowhere")
    Traceback (most recent call last):
    latentcrs.base.errors.UserError: nowhere is not a model bundle (no bundle.json); make one with 'latentcrs train'.
    """


def first_line(error: Exception) -> str:
    """What an error of a library says, without the plan or stack below it."""
    return next(iter(str(error).splitlines()), type(error).__name__)
