"""Lightning's loaders from a data set, resumable inside an epoch.

In reading order:

    online_transforms  random changes of a training image: crop, mirror, light, erased rectangles
    image_rows         rows of a data set as images, or as what a frozen trunk made of them
    sampler            which rows form each training batch: shuffled, or P labels x K images
    resumable_loader   a loader that knows its position inside an epoch
    image_datamodule   the loaders of training, validation and test
    market_datamodule  the same for Market-1501, from its folder or its zip
"""
