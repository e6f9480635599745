"""From files to a table of images, who asks and who answers, and pixels at the size of the model.

In reading order:

    hold_out        images held out of training for validation
    orientation     EXIF orientation
    protocol        who asks and who answers in one split of a data set
    shrink_kernel   area averaging, compiled
    pixels          an image at the size of the model
    example         example data for `lookalike demo`
    images          the only way an image enters, in training, embedding and serving alike
    image_files     which files are images, by their names, and which of them cannot be used
    tables          tables of images as people write them
    class_folders   `train/<class>/`, `validation/<class>/`, `test/<class>/`, or class folders alone
    exclusions      `exclude.csv`
    market          Market-1501 as it is distributed
    manifest        one validated table of images, from folders, Market-1501's layout, a CSV file or a Parquet fil
    market_archive  the zip of Market-1501, unpacked whole or not at all
    dataset         a data set read from folders, Market-1501's layout, CSV or Parquet
    offline_copies  augmented copies of the training images on disk, through Albumentations
    any_image       an image as a program has it
    dataset_api     `Dataset`
"""
