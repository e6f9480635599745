"""Predict: the same as `lookalike predict` with `configs/predict_config.json`; the command line wins over the file."""

import sys
from pathlib import Path

from lookalike.cli.main import main

if __name__ == "__main__":
    config = Path(__file__).parent / "configs" / "predict_config.json"
    given = sys.argv[1:]
    sys.exit(main(["predict", *([] if "--config" in given else ["--config", str(config)]), *given]))
