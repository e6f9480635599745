"""A bundle on a split of a data set, with the images held out that its training held out."""

from typing import Any

from lookalike.data.dataset import read_data
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import Rules, evaluate_rows
from lookalike.inference.bundle import Bundle
from lookalike.inference.encoder import Encoder
from lookalike.metrics.result import RetrievalResult


def evaluate_split(
    bundle: Bundle,
    encoder: Encoder,
    data: dict[str, Any],
    split: str,
    rules: Rules = Rules(),  # noqa: B008 - frozen
) -> RetrievalResult:
    """Measures a bundle on a split of a data set.

    Args:
        bundle: Its own hold-out settings are used when `data` asks for none, so that the same images are held out.
        encoder: Its network.
        data: `root`, `validation_share`, `seed`, `archive`.
        split: train, validation or test.
        rules: How embeddings are compared.

    Raises:
        ManifestError: Problems in the data, or an empty split.
        ImageError: An image cannot be used; a figure without it would not be comparable.
    """
    manifest = read_data(**held_out_as_in(bundle, data))
    protocol = manifest.protocol(split)
    return evaluate_rows(*embed_protocol(encoder, manifest, protocol), protocol, rules)


def held_out_as_in(bundle: Bundle, data: dict[str, Any]) -> dict[str, Any]:
    """The `data` settings, with the hold-out of the bundle's training where they ask for none."""
    trained = bundle.config["training"]["settings"]["data"]
    if data["validation_share"]:
        return data
    return {**data, "validation_share": trained["validation_share"], "seed": trained["seed"]}
