"""`python -m lookalike` is the command `lookalike`."""

from lookalike.cli import entry

entry()
