"""The layouts of published data sets: one file per layout, which recognises it, reads it, and knows its protocol.

In reading order:

    layout           what a layout is: evidence, reader, and the protocol of its papers
    lists            text files that list images, and what they and the folders do not have in common
    matlab           arrays out of MATLAB's files
    listed           what readers of lists share: lines, images listed twice, images that no list names
    boxes            boxes in pixels: cut to their image, or left out where nothing is left
    market           Market-1501's folders and their like, and what their file names say
    dukemtmc         DukeMTMC-reID and Occluded-Duke: the same folders, names of their own
    cuhk03           CUHK03 by its new protocol, detected and labelled
    msmt17           MSMT17's folders and lists
    veri             VeRi-776, with colours and types
    vehicleid        VehicleID's lists, from which galleries are drawn
    two_cameras      sequences of people under two cameras
    prid2011         PRID 2011, as sequences and as single pictures
    ilids_vid        iLIDS-VID
    mars             MARS's tracklets
    in_shop          In-Shop Clothes: who asks and who answers, by one list
    online_products  Stanford Online Products: two lists, every test image asks all others
    cub              CUB-200-2011: lists by number; classes 1 to 100 train, the others are searched
    cars             Cars196: MATLAB files, or tables made of them; classes 1 to 98 train, the others are searched
    ground_truth     the file of Oxford and Paris revisited: pickle, MATLAB or JSON; nothing in it is executed
    revisited        Oxford and Paris revisited: queries are boxes, references are easy, hard or junk for each
    wildlife         WildlifeDatasets' metadata.csv: individuals, dates, splits
    coco             COCO's JSON: a row for each box
    yolo             YOLO's data.yaml and files of boxes: a row for each box
    one_hot          Roboflow's `_classes.csv`: a column for each class
    open_images      Open Images' tables: boxes in shares of the image
    remnants         data sets of which a part is there, and what is missing
    read_lists       which lists each reader reads, and which are there
    registry         all of them, and which one a folder has
"""
