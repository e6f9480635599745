"""Networks of person re-identification that timm has not, with the tensor names of those who wrote them.

Each takes normalised RGB [B, 3, H, W] and gives the embedding [B, D] that its project tests, before any normalisation
of the whole. Written from papers and from what the projects document; classifiers and whatever else comes behind the
embedding are left out.

In reading order:

    attention_blocks  squeeze-and-excitation, non-local blocks
    instance_batch    the norm of IBN-Net (a)
    residual          ResNet, ResNeXt, and what other projects change in them
    residual_names    what a ResNet is made of, read from names and shapes
    pooling           features to one vector
    pooled_residual   torchreid's ResNets, its PCB
    omni_scale        OSNet, OSNet-IBN, OSNet-AIN
    harmonious        HA-CNN
    multi_level       MLFN
    fast_reid         fast-reid: backbone and embedding head
    strong_baseline   bag of tricks, AGW
    layumi            ft_net and PCB
    efficient         EfficientNet of efficientnet_pytorch
    layumi_trunks     ft_net_swin, _swinv2, _convnext, _hr, _dense, _efficient
    side_transformer  vision transformer with overlapping patches and an embedding of the camera
    trans_reid        TransReID, with and without its jigsaw branch
    clip_towers       CLIP's image towers for images that are not square
    clip_reid         CLIP-ReID
    inference_rules   mirror images, several sizes, parts
    conventions       how each project reads images and tests its networks, each fact with its source
    assembled         the network that the names and shapes of a file show
"""
