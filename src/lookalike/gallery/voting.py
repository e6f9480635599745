"""How the neighbours in a gallery vote where nobody says: as names most of its own images rightly.

Letters in shapes: A images that ask, K neighbours.
"""

import numpy as np

from lookalike.inference.bundle_config import VoteConfig
from lookalike.inference.references import References
from lookalike.metrics.evenly import evenly
from lookalike.metrics.votes import SHOWN, choose_vote

_ASKING = 200  # images, spread evenly: a larger gallery is not read longer for it


def vote_within(references: References) -> VoteConfig:
    """Lets enrolled images be named by the others: leave one out, over at most 200 of them.

    Args:
        references: The gallery, not empty.

    Returns:
        How many neighbours vote and whether by weight; one, where a gallery is too small to tell.
    """
    count = len(references)
    if count < 3:
        return VoteConfig(k=1, weighted=True)
    asking = evenly(count, _ASKING)
    most = min(SHOWN, count - 1)
    rows, similarity = references.search(references.embeddings[asking], most + 1, references.fingerprint)
    own = rows == asking[:, None]
    own[~own.any(1), -1] = True  # copies of it stand before it: the last one goes instead
    others = rows[~own].reshape(len(asking), most)
    labels = np.array(references.labels, object)
    k, weighted = choose_vote(labels[others], similarity[~own].reshape(len(asking), most), labels[asking])
    return VoteConfig(k=k, weighted=weighted)
