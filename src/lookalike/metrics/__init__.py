"""How well queries find their label among references: pure arrays in, results out.

In reading order:

    valid_references  which references count for a query: the one rule
    exact_grid        puts embeddings on a grid where inner products are exact: no rank depends on the order of a sum
    columns           one value per row as people have them, brought into one form
    inputs            what people give to an evaluation, checked and brought into one form
    sightings         when and by which camera images were taken, and which references that leaves out
    problem           who asks, who answers, and which references count for each query
    evenly            rows spread evenly over many
    intervals         resampling of labels
    unknowns          similarities of images that nobody knows, and the threshold that keeps to a rate
    open_set          queries whose label nobody has enrolled
    acceptance        what thresholds do to queries of known and of unknown labels
    ranks             where the positives of every query stand, and what follows from it
    ranking           exact ranks of the positives of every query
    search            the nearest references of any number of queries, as they are ranked
    rerank_options    the settings of re-ranking, and the checks that its steps share
    k_reciprocal      k-reciprocal re-ranking
    reranked          ranks by a re-ranked distance
    query_expansion   query expansion
    options           how a problem is measured
    metric_table      metrics and their intervals as a table of a page
    result            metrics of one evaluation with their conditions, intervals and a table of all queries
    votes             the label that the nearest neighbours of a query vote for
    figures           from ranks to a table of all queries, and from the table to means with intervals
    evaluate          how well queries find their label among references
    streamed          the same of references that do not fit into memory, in two passes
    graded            retrieval where each query says itself which references are right
    camera_pairs      how well images of one camera are found among those of another
    paired_tests      results side by side
    kernels/          see there
"""
