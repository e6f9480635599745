"""What is ours for speed on a processor: an epoch takes about an eighth of the usual time (docs/performance.md).

In reading order:

    convolutions       convolutions of small maps in bf16 as matrix products
    team               threads that share a kernel's work
    lanes              sixteen float32 as one value of compiled code
    panels             products and batch norms of sixteen channels at a time
    depthwise          depthwise convolutions of sixteen channels
    expansion_kernels  a 1 x 1 convolution with its batch norm
    residual_kernels   an inverted residual in few passes over memory
    residuals          how the trained inverted residuals of a network run by these kernels
    adamw              AdamW over parameters in the order they have in memory
    precision          which precision the trained part runs in
    trunk_network      what runs a frozen trunk over many images once
    trunk_cache        the frozen trunk's output of every image, computed once and kept on disk in bf16.
"""
