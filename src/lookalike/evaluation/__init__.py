"""A model on a data set: embed the protocol, identify every query, choose thresholds.

In reading order:

    checks           what makes the figures of a protocol better than they should be, or impossible
    embed            rows of a data set to embeddings
    tracklets        several images of one appearance as one embedding
    multi_query      all images of a person under one camera that ask together
    identify         who each query of a protocol is, out of all its references, and how well they are retrieved
    unknown_queries  queries of labels that no reference has, and what thresholds do to them
    paper_rule       the figures of a data set by the rule of its papers, where that asks for more than was measured
    standard         what the papers print that use a data set, by their protocol
    measure          embeddings of a protocol to every figure of it
    split            a bundle on a split of a data set, with the images held out that its training held out
    assessment       a trained model on a data set
    streaming        stored embeddings evaluated, references in shards a part at a time
    stored           embeddings that are kept
    sharded          embeddings written in shards by jobs that know nothing of each other
    by_ray           the same by the machines of a Ray cluster
    thresholds       thresholds for unknown images, chosen against what `predict` will search
"""
