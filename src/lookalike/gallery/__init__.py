"""References that live: enrol, rename, remove, search; one module per store.

In reading order:

    sqlite_store  the rows of a gallery in one SQLite file
    enrolment     what enrols: images, their labels and sources
    voting        how neighbours vote where nobody says
    gallery       `Gallery`
"""
