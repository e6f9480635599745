"""What makes the figures of a protocol better than they should be, or impossible."""

import pandas as pd

from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.data.tables import ManifestError
from lookalike.files import sha256_of


def need_cameras(manifest: Manifest, protocol: Protocol) -> None:
    """Refuses the camera rule for names that should tell a camera and do not.

    Raises:
        ManifestError: Names an image without a camera.
    """
    rows = pd.concat([protocol.queries, protocol.references])
    missing = rows[rows["camera"].isna() & ~rows["ignore"]]
    if manifest.cameras_expected and len(missing):
        raise ManifestError(
            f"{manifest.root}: {len(missing)} of {len(rows)} names tell no camera (first: {missing['path'].iloc[0]}; "
            "expected 0002_c1s1_000451_03.jpg), but references of the query's own camera must be left out: "
            "rename them, or give camera_rule=false to rank all references, those of the same camera included"
        )


def twice(manifest: Manifest, protocol: Protocol) -> list[tuple[str, str]]:
    """Queries whose file, byte for byte, is also among the references: (query, reference) paths, own rows aside."""
    others = protocol.references[~protocol.references["path"].isin(set(protocol.queries["path"]))]
    sizes: dict[int, list[str]] = {}
    for path in others["path"].unique():
        sizes.setdefault(manifest.file(path).stat().st_size, []).append(path)
    hashes: dict[str, str] = {}
    twins = []
    for path in protocol.queries["path"].unique():
        alike = sizes.get(manifest.file(path).stat().st_size, [])
        for same_size in [path, *alike] if alike else []:
            hashes.setdefault(same_size, sha256_of(manifest.file(same_size)))
        twins += [(path, other) for other in alike if hashes[other] == hashes[path]]
    return twins
