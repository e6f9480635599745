"""From the names of other libraries to those of timm.

In reading order:

    renamed  tensors of one implementation of a network by the names of another
    tables   all of them
"""
