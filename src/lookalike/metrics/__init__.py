"""How well queries find their label among references: pure arrays in, results out.

In reading order:

    exact_grid       embeddings on a grid on which a float64 inner product is exact, so that no rank depends on ho
    intervals        resampling of labels
    open_set         queries whose label nobody has enrolled
    problem          what is given to an evaluation, checked once and brought into one form
    ranks            where the positives of every query stand, and what follows from it
    ranking          exact ranks of the positives of every query
    camera_pairs     how well images of one camera are found among those of another
    rerank_options   the settings of re-ranking, and the checks that its steps share
    k_reciprocal     k-reciprocal re-ranking
    query_expansion  query expansion
    result           metrics of one evaluation with their protocol, intervals and a table of all queries
    metric_table     metrics and their intervals as a table of a page
    votes            the label that the nearest neighbours of a query vote for
    evaluate         how well queries find their label among references
    paired_tests     results side by side
    kernels/         see there
"""
