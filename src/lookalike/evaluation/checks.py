"""What makes the figures of a protocol better than they should be, or impossible."""

import pandas as pd

from lookalike.data.layouts.market import DISTRACTOR
from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.data.tables import ManifestError


def need_cameras(manifest: Manifest, protocol: Protocol) -> None:
    """Refuses the camera rule for names that should tell a camera and do not.

    Raises:
        ManifestError: Names an image without a camera.
    """
    rows = pd.concat([protocol.queries, protocol.references])
    # The rule leaves out references of the query's label alone, so nobody's cameras make no difference.
    missing = rows[rows["camera"].isna() & ~rows["ignore"] & (rows["label"] != DISTRACTOR)]
    if manifest.cameras_expected and len(missing):
        raise ManifestError(
            f"{manifest.root}: {len(missing)} of {len(rows)} names tell no camera (first: {missing['path'].iloc[0]}; "
            "expected 0002_c1s1_000451_03.jpg), but references of the query's own camera must be left out: "
            "rename them, or give camera_rule=false to rank all references, those of the same camera included"
        )
