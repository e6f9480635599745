"""A trained network becomes a bundle: graph, parity with torch, thresholds, int8.

In reading order:

    graph             an embedder as an OpenVINO graph
    nncf_int8         NNCF without its telemetry and its chatter, and the int8 form of one graph
    parity            whether an exported graph agrees with torch, image by image, and in which precision
    model_card        what the model is, how good it is, and what it cannot tell
    export            a trained embedder becomes a bundle
    network_encoder   the encoder of a network that is in memory
    untrained         the bundled backbone as an encoder
    reference_images  the images of a bundle's references, found again to be embedded by another graph
    int8              a bundle in int8, taken only if the figures on validation stay
"""
