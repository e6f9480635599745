"""Train: the same as `lookalike train`, for people who cloned the repository."""

import sys

from lookalike.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
