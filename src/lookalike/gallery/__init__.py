"""References that live: enrol, rename, remove, search; in a folder or on a server.

In reading order:

    rows              one image, as it is enrolled and as it is read back
    connection        how a database is spoken to
    image_facts       what a store tells of images
    facts             what is known of images besides their labels, set and taken back
    history           what was changed when, taken back, or forgotten for good
    about             what a gallery says about itself
    same_images       which of the images to enrol are enrolled already
    looked_up         what a change looks up in its own transaction
    leftover          files of forgotten images, deleted after the change that forgets them
    stored_images     what the stores read: rows, labels, embeddings, changes
    sql_store         what the stores share: rows of a gallery in an SQL database
    vector_file       all embeddings in a flat file beside the database
    sqlite_place      the folder of a gallery: what is said where there is none, another thing or one already
    sqlite_tables     the tables of a gallery in an SQLite file
    sqlite_store      the rows of a gallery in one SQLite file
    postgres_place    the address of a gallery on a server, shown without its password
    postgres_session  a connection to PostgreSQL, and what is said when it refuses
    postgres_tables   the tables of a gallery there
    postgres_store    the rows of a gallery on a PostgreSQL server
    milvus_place      the address of a gallery on Milvus, shown without its password
    milvus_client     the one import of its client, which leaves the process's logging as it was
    milvus_tables     the rows of a gallery as commits tell them, and the private file they are replayed into
    milvus_log        commits on a server that has no transactions
    milvus_store      the rows of a gallery on Milvus
    stores            which store a place means
    sources           where enrolled images came from
    snapshot          enrolled images in memory, kept up to date
    columns           what else is known of enrolled images, and filters by it
    enrolment         what enrols: images, their labels and sources
    originals         what is left of an enrolled image: its file, or its small picture
    voting            how neighbours vote where nobody says
    unknown_limit     when a gallery says unknown
    own_model         the model of a gallery, by what the gallery says of it
    unknown           images that were called unknown, kept as files
    grouping          which images probably show the same new thing, and which to label next, by arrays alone
    suggestions       groups of unknown images as a table that a person edits and a page
    enrolment_table   what a table says of images to enrol, an edited one of suggestions too
    suggest           makes these groups from files and embeddings
    approximate       approximate search, for whoever asks for it
    enrolled          which images there are, now or as it was
    health            how well a gallery is kept
    searchable        what searches and asks them
    past              a gallery as it was after one of its changes
    editing           what changes enrolled images
    enrolling         what adds images
    verification      whether a gallery is whole
    transfer          a gallery taken elsewhere, and brought in
    reembedding       another model for a gallery
    measuring         how well photographs are named by a gallery
    gallery           `Gallery`
"""
