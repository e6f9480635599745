"""References that live: enrol, rename, remove, search; one module per store.

In reading order:

    rows           one image, as it is enrolled and as it is read back
    history        what was changed when, taken back, or forgotten for good
    sql_store      the rows of a gallery in an SQL database
    vector_file    its embeddings in one flat file, for speed
    sqlite_store   the rows of a gallery in one SQLite file
    columns        what else is known of images, and filters by it
    enrolment      what enrols: images, their labels, cameras, columns and sources
    snapshot       enrolled images in memory, kept up to date by what changed
    own_model      the model of a gallery, found by what the gallery says of it
    unknown_limit  when a gallery says unknown, chosen from what is enrolled
    voting         how neighbours vote where nobody says
    searchable     what can be searched and asked: a gallery now, or as it was
    editing        what changes enrolled images, and the log of it
    transfer       a gallery written into open formats, and read from them
    verification   whether every image is as it was enrolled
    measuring      how well photographs are named by a gallery
    gallery        `Gallery`
"""
