"""The inner loops of ranking: exact ranks without a sort, several times quicker than the peers (benchmarks/RANKING.md).

In reading order:

    grid          embeddings on the grid and their exact inner products
    valid         the rule of valid references in compiled loops: the positives that count, and what a tile keeps
    above         how many references stand above each positive, counted without sorting
    nearest       the nearest references of every query, kept while tiles go by
    ranks         one tile of similarities taken into account
    summaries     what follows from the ranks of positives and from the labels of neighbours
    k_reciprocal  the inner loops of k-reciprocal re-ranking
    search_torch  what the torch back end searches, and how much of it at a time
    tiles_torch   a block of queries against a tile of references, on any torch.device
    ranks_torch   the torch back end of `ranking.rank`
"""
