"""A bundle on a split of a data set, with the images held out that its training held out."""

from lookalike.data.dataset import Dataset
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import Rules, evaluate_rows
from lookalike.evaluation.tracklets import pooled, pooling_of
from lookalike.inference.bundle import Bundle
from lookalike.inference.encoder import Encoder
from lookalike.metrics.result import RetrievalResult


def evaluate_split(
    bundle: Bundle,
    encoder: Encoder,
    data: Dataset,
    split: str,
    rules: Rules = Rules(),  # noqa: B008 - frozen
) -> RetrievalResult:
    """Measures a bundle on a split of a data set.

    Args:
        bundle: Its own hold-out is used when the data set has none, so that the same images are held out.
        encoder: Its network.
        data: The data set.
        split: train, validation or test.
        rules: How embeddings are compared.

    Raises:
        ManifestError: Problems in the data, or an empty split.
        ImageError: An image cannot be used; a figure without it would not be comparable.
    """
    manifest = held_out_as_in(bundle, data).manifest
    protocol = manifest.protocol(split)
    pooling = pooling_of(protocol, rules.pool)  # what is wrong with tracklets is said before the work
    queries, references, protocol = pooled(*embed_protocol(encoder, manifest, protocol), protocol, pooling)
    return evaluate_rows(queries, references, protocol, rules)


def held_out_as_in(bundle: Bundle, data: Dataset) -> Dataset:
    """The data set, with the hold-out of the bundle's training where it has none of its own."""
    return data.held_out_as(bundle.config.training.held_out)
