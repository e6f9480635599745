"""Evaluate: `lookalike eval` with the settings of Market-1501 and MLflow; the command line wins over them."""

import sys

from lookalike.cli.main import main

if __name__ == "__main__":
    market = ["data=market1501", "pixels=person256x128", "model.embedding_size=512", "split=test", "logger=mlflow"]
    sys.exit(main(["eval", *market, *sys.argv[1:]]))
