"""A bundle and what runs it: settings, network, encoder, references, predictions. No torch.

In reading order:

    openvino_network  a bundle's network, ready to run
    picture           queries and their neighbours as one picture, readable without colour
    references        references that can be searched
    bundle            the deployable folder
    encoder           images -> unit embeddings, through OpenVINO on a CPU or torch on a GPU.
    predict           the k nearest known images of a new one, as a dated JSON and a picture
"""
