"""A trained network becomes a bundle: graph, parity with torch, thresholds, model card, int8.

In reading order:

    graph             an embedder as an OpenVINO graph
    parity            whether a graph agrees with torch, image by image, and in which precision it may run
    model_card        what the model is, how good it is, and what it cannot tell
    export            a trained embedder becomes a bundle
    network_encoder   the encoder of a network out of a checkpoint, or with its first weights only
    untrained         a network with its first weights as an encoder, without training
    nncf_int8         NNCF without its telemetry and its chatter, and the int8 form of one graph
    reference_images  the images that a bundle knows, found again to be embedded by another graph
    int8              a bundle in int8, taken only if the figures on validation stay
"""
