"""References that live: enrol, rename, remove, search; one module per store.

In reading order:

    rows          one image, as it is enrolled and as it is read back
    history       what was changed when, taken back, or forgotten for good
    sqlite_store  the rows of a gallery in one SQLite file
    enrolment     what enrols: images, their labels and sources
    voting        how neighbours vote where nobody says
    unknown       images that were called unknown, kept as files
    searchable    what can be searched and asked: a gallery now, or as it was
    gallery       `Gallery`
"""
