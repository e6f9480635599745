"""A bundle and what runs it: settings, network, encoder, references, predictions. No torch.

In reading order:

    openvino_network  a bundle's network, ready to run
    feature_maps      what every position of its last feature map adds to an embedding
    fonts             a font of this machine for every letter of a name
    picture           queries and their neighbours as one picture, readable without colour
    heat              a map of regions over a picture
    references        the images a model knows
    shards            embeddings in shards: Parquet files that many jobs write, read as one table
    bundle_config     the settings of a bundle, typed
    prediction_json   predictions as they stand in JSON, to be read back
    explanation       why two images are alike, as an object and a picture
    rejection         when a prediction says unknown
    bundle            the deployable folder
    encoder           images -> unit embeddings
    explaining        explains cosines by the network that made them
    kept_network      a network in a folder of its own, without a bundle
    queries           the files that a file, a folder or a pattern means
    search_facts      how images were searched where an approximate index was asked for
    neighbour         a known image near a query
    predict           the k nearest known images of a new one, as objects, a dated JSON and a picture
    explained         predictions with the reasons of their neighbours
    rightness         how many predictions are right, where folders or a table name the truth
    image_table       a table of images to predict, and the table of what they show
    object_boxes      boxes of several things in a photograph, and whose they are
    bundle_writer     the one writer of bundles, float32 and int8 alike
"""
