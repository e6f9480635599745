"""References that live: enrol, rename, remove, search; one module per store.

In reading order:

    rows          one image, as it is enrolled and as it is read back
    history       what was changed when, taken back, or forgotten for good
    sqlite_store  the rows of a gallery in one SQLite file
    enrolment     what enrols: images, their labels and sources
    voting        how neighbours vote where nobody says
    unknown       images that were called unknown, kept as files
    grouping      which images probably show the same new thing, and which to label next, by arrays alone
    suggestions   groups of unknown images as a table that a person edits and a page
    suggest       makes these groups from files and embeddings
    searchable    what can be searched and asked: a gallery now, or as it was
    gallery       `Gallery`
"""
