"""From files to a table of images, who asks and who answers, and pixels at the size of the model.

In reading order; first one image:

    orientation     how EXIF turns a stored image upright, and where a part of it lies
    shrink_kernel   shrinks an image by area averaging, compiled
    interpolation   scales an image as Pillow and OpenCV do, for networks that were trained so
    pixels          brings an image to the size of the model: stretch, crop or pad
    reduced_jpeg    decodes a JPEG at a half, a quarter or an eighth of its size
    metadata        which way up a file says that its pixels are, and the file without all that
    formats         which image formats are read, and what their files are called
    image_limits    what one image file may cost: bytes, passes over its pixels, memory of all threads
    images          reads any image file into RGB pixels; all of training, embedding and serving go through it
    labels          how a label is written, and which labels a reader cannot tell apart
    any_image       reads what a program has: a file, bytes, an array, a picture of Pillow
    thumbnail       small JPEGs: what galleries keep, and what pages and notebooks show
    image_files     which files are images, by their names, and which of them cannot be read

then a data set, from its layouts to one table:

    inert_pickle    a pickle read with stand-ins: nothing in it is executed
    plain_yaml      YAML as plain values: nothing in it is executed, or repeated
    column_names    the names of columns: ours, and those that a person's own table has
    table_file      the cells of a CSV or Parquet file as text
    tables          CSV and Parquet tables of images, cell by cell
    table_rows      what is wrong with the rows of a table, and in which
    dates           dates as tables have them
    scenes          images of one scene, by what tables and names of files say
    grades          which references are right for one query, and how hard they are to find
    layouts/        published data sets: one file per layout, and which of them a folder has
    named_files     labels out of the names of files, by a regular expression
    class_folders   folders `train/<class>/`, `validation/<class>/`, `test/<class>/`, or class folders alone
    market_archive  unpacks the zip of Market-1501
    exclusions      `exclude.csv`: images that are left out
    hold_out        holds training images out for validation
    splits          divides a data set by individual, site, date, scene, or at random
    taken           when images were taken: what rules of time ask for
    protocol        which images ask and which answer in one split
    copies          images that ask and, byte for byte, also answer
    manifest        the table of a data set: labels, training rows, references and queries
    file_problems   files of a data set that are not there, or empty
    reading         reads a data set of any layout and tells every problem in it at once
    remote_images   images of an object store, as one table
    tar_images      images in tars, as WebDataset writes them, read from their places
    dataset         `Dataset`: a data set as a person holds it

and what is made from it:

    offline_copies  writes augmented copies of the training images
    example         the data set that `lookalike demo` uses
"""
