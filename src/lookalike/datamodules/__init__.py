"""Lightning's loaders from a data set, resumable inside an epoch.

In reading order:

    online_transforms  random changes of an image while training
    image_rows         rows of a manifest as images or as what a frozen trunk made of them
    resumable_loader   a loader that knows its position inside an epoch
    image_datamodule   Lightning loaders from a manifest
    market_datamodule  Market-1501 for Lightning
    sampler            which rows form each training batch
"""
