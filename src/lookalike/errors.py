"""The one family of errors that a person can mend: the command line prints their text alone, without a traceback."""


class LookalikeError(ValueError):
    """What was expected, what was found and what to do about it, on one line; each of several has its own."""


def listed(problems: list[str], shown: int = 20) -> str:
    """Joins problems for one message: the first `shown`, a line each, then how many more there are."""
    more = len(problems) - shown
    return "\n  ".join([*problems[:shown], *([f"... and {more} more"] if more > 0 else [])])


def did_you_mean(name: str, choices: list[str]) -> str:
    """A hint such as `; did you mean arcface?`, empty when nothing is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, choices, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


class ModelError(LookalikeError):
    """The model cannot be built from these settings."""


class CheckpointError(LookalikeError):
    """A checkpoint cannot be read, or belongs to another run."""
