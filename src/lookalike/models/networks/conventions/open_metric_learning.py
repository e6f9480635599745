"""open-metric-learning 4.0.0, with the transforms that its registry gives its own weights."""

from lookalike.models.networks.conventions.convention import Convention, stands_in

OML_ALBUMENTATIONS = Convention(
    project="open-metric-learning",
    version="4.0.0",
    height=224,
    width=224,
    resize="pad",
    antialias=False,
    taken="what the extractor gives",
    unit_length=False,
    sources=stands_in(
        height__width="oml/configs/transforms/norm_resize_albu.yaml: im_size 224; it stands in the settings of a run",
        resize="oml/transforms/images/albumentations.py: LongestMaxSize, PadIfNeeded; white: oml/const.py",
        interpolation__antialias="oml/transforms/images/albumentations.py: Albumentations' bilinear, of OpenCV",
        mean__std="oml/const.py: MEAN, STD of ImageNet (CLIP's: MEAN_CLIP, STD_CLIP)",
        channels="oml/utils/images/images.py: imread_cv2 turns BGR into RGB",
        flip__scales__parts="oml/inference/abstract.py: the network is run once",
        taken="oml/models/resnet/extractor.py: forward",
        unit_length="oml/models/resnet/extractor.py: normalise_features=False for its own weights",
        distance="oml/utils/misc_torch.py: pairwise_dist, of order 2",
    ),
    remarks=(
        "the borders of its images are white (`pixels.border=255`)",
        "its weights of ImageNet are read with a bicubic Resize(256) and CenterCrop(224) (oml/registry/transforms.py)",
    ),
)
