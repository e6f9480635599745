"""From the names of other libraries to those of timm.

In reading order:

    renamed       tensors of one implementation of a network by the names of another
    torchvision   torchvision's names
    hugging_face  those of transformers
    clip          OpenAI's and open_clip's
    children      of networks whose parts were put into a sequence
    tables        all of them
"""
