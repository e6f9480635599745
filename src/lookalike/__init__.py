"""lookalike: train, measure and search image embeddings.

The modules follow the pipeline: `manifest` and `images` read, `augment`, `train` and `export` make a bundle,
`embed`, `ranking`, `evaluate`, `gallery` and `predict` use it. Importing this package imports none of them, and
none of those that serve a bundle imports torch.
"""

import os
import sys

# OpenVINO and NNCF report their use to Google Analytics on import; absent, they take their own silent stand-ins.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
# Before albumentations is imported: it would look for a newer version of itself.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__version__ = "0.1.0"
