"""A copy of a bundle with another card: the same weights, the same fingerprint, checksums that fit, no logins."""

import shutil
from pathlib import Path

from lookalike.files import sha256_of, write_bytes, write_json
from lookalike.inference.bundle import CARD, CONFIG, Bundle, checksum_of, content_of, load_bundle
from lookalike.settings.paths import without_login


def prepare(bundle: Bundle, folder: Path, card: str) -> Bundle:
    """Copies the files that belong to a bundle, and nothing else that lies in its folder.

    Args:
        bundle: Verified.
        folder: New.
        card: Markdown.

    Raises:
        DiskFullError: There is no room.
        BundleError: The bundle was changed meanwhile.
    """
    content, files = content_of(bundle.path)
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.path / name, target)
    write_bytes(folder / CARD, card.encode())
    training = {**content["training"], "settings": _without_logins(content["training"].get("settings", {}))}
    changed = {**content, "training": training, "files": {**files, CARD: sha256_of(folder / CARD)}}
    write_json(folder / CONFIG, {**changed, "checksum": checksum_of(changed)})
    return load_bundle(folder)


def _without_logins(value: object) -> object:
    """Settings of a run, which travel with it, without user and password of a tracker or a store."""
    if isinstance(value, dict):
        return {name: _without_logins(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_logins(part) for part in value]
    return without_login(value) if isinstance(value, str) else value
