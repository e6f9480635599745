"""What a checkpoint of any project holds, worked out from the file alone, and the network of it.

In reading order:

    facts            what is known of the network in a checkpoint: plain data, each fact with its source
    saved_settings   the settings that a project saved in a checkpoint, or in a file beside it
    contents         a checkpoint as recognition sees it
    catalogue        which architectures of timm a set of names and shapes may be
    renaming/        from the names of other libraries to those of timm, one table a file
    projects/        what projects do with their networks that no checkpoint says, one table a file
    saved_names      names and sizes of a network among saved settings
    given            what a person says, and facts that are given, saved or usual
    surgery          the stride of the last stage of a ResNet
    authors          networks of re-identification that their authors' names and shapes show
    backbones        which network of timm stands in a file, and under which names
    heads            what stands between the pooling and the embedding
    unknown_heads    the same where the project is not known
    two_steps        images that transformers scales and then cuts
    pixel_facts      how the project that wrote a checkpoint reads its images
    questions        what is asked where two readings fit
    refusals         what is said of a file that is not recognised as a whole
    timm_network     a network of timm and the layers behind it
    recognise        what a checkpoint holds
    page             what is shown of it on a terminal
    first_weights    the tensors of a backbone, for a training run
    positions        position embeddings brought to another size of images
    room             whether a file has room for the network that it is said to hold
    network          the network of a blueprint, filled from a file
    graphs           ONNX and OpenVINO graphs
    ours             a checkpoint of `lookalike train`, by its own settings
    restore          the network of a checkpoint, of `lookalike train` or of another project
    several          the checkpoints among files and folders
"""
