"""IBN-Net (Pan et al. 2018), XingangPan/IBN-Net at 0610261: networks of ImageNet, embedded before the classifier."""

from lookalike.models.networks.conventions.convention import Convention, stands_in

IBN_NET = Convention(
    project="IBN-Net",
    version="0610261",
    height=224,
    width=224,
    resize="crop",
    shorter_side=256,
    taken="the mean over the last features, before the classifier",
    unit_length=False,
    sources=stands_in(
        height__width="imagenet.py: CenterCrop(224)",
        resize__shorter_side="imagenet.py: Scale(256), CenterCrop(224)",
        interpolation__antialias="imagenet.py: torchvision's Scale of a picture, bilinear by default",
        mean__std="imagenet.py: Normalize with the values of ImageNet",
        channels="imagenet.py: ImageFolder, which reads RGB",
        flip__scales__parts="imagenet.py: test runs the network once",
        taken="ibnnet/resnet_ibn.py: avgpool, before fc",
        unit_length="ibnnet/resnet_ibn.py: nothing behind avgpool but fc",
        distance="none in the project, which classifies",
    ),
    remarks=("its average pooling is of 7 x 7 places; here of all, which is the same at 224 x 224 pixels",),
)
