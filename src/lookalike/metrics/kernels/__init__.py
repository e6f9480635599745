"""The inner loops of ranking: exact ranks without a sort, several times quicker than the peers (benchmarks/RANKING.md).

In reading order:

    ranks         the inner loops of `ranking`, compiled by numba
    k_reciprocal  the inner loops of `rerank`, compiled by numba
    ranks_torch   the torch back end of `ranking.rank`
"""
