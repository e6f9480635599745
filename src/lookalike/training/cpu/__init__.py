"""What is ours for speed on a processor: an epoch takes about an eighth of the usual time (docs/performance.md).

In reading order:

    passes         what a function of autograd keeps between its passes
    convolutions   convolutions of small maps in bf16 as matrix products
    vector_code    machine code of loops over vectors of channels
    depthwise_kernels  depthwise convolutions and their gradients in such code
    depthwise      trained depthwise convolutions that run by it
    folded_norms   frozen batch norms inside the convolutions before them
    adamw          AdamW over parameters in the order they have in memory
    precision      which precision the trained part runs in
    trunk_network  what runs a frozen trunk over many images once
    trunk_cache    the frozen trunk's output of every image, computed once and kept on disk in bf16.
"""
