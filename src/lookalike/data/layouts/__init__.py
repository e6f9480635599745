"""The layouts of published data sets: one file per layout, which recognises it, reads it, and knows its protocol.

In reading order:

    layout        what a layout is: evidence, reader, and the protocol of its papers
    lists         text files that list images, and what they and the folders do not have in common
    matlab        arrays out of MATLAB's files
    market        Market-1501's folders and their like, and what their file names say
    dukemtmc      DukeMTMC-reID and Occluded-Duke: the same folders, names of their own
    cuhk03        CUHK03 by its new protocol, detected and labelled
    msmt17        MSMT17's folders and lists
    veri          VeRi-776, with colours and types
    vehicleid     VehicleID's lists, from which galleries are drawn
    two_cameras   sequences of people under two cameras
    prid2011      PRID 2011, as sequences and as single pictures
    ilids_vid     iLIDS-VID
    mars          MARS's tracklets
    registry      all of them, and which one a folder has
"""
