"""A trained network becomes a bundle: graph, parity with torch, thresholds, int8.

In reading order:

    graph       an embedder as an OpenVINO graph
    model_card  what the model is, how good it is, and what it cannot tell
    export      a trained embedder becomes a bundle
    nncf_int8   NNCF without its telemetry and its chatter, and the int8 form of one graph
    int8        a bundle in int8, taken only if the figures on validation stay
    untrained   the bundled backbone as an encoder
"""
