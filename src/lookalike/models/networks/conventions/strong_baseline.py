"""reid-strong-baseline ("bag of tricks", Luo et al. 2019), at 3da7e6f."""

from lookalike.models.networks.conventions.convention import Convention, stands_in

STRONG_BASELINE = Convention(
    project="reid-strong-baseline",
    version="3da7e6f",
    taken="behind the batch norm",
    sources=stands_in(
        height__width="configs/softmax_triplet_with_center.yml: INPUT.SIZE_TEST [256, 128]",
        resize="data/transforms/build.py: T.Resize(cfg.INPUT.SIZE_TEST)",
        interpolation__antialias="data/transforms/build.py: T.Resize of a picture, bilinear by default",
        mean__std="config/defaults.py: INPUT.PIXEL_MEAN, PIXEL_STD of ImageNet",
        channels="convert('RGB'), as its child AGW has it (its data/datasets/dataset_loader.py)",
        flip__scales__parts="engine/inference.py: the network is run once",
        taken="configs/softmax_triplet_with_center.yml: TEST.NECK_FEAT after (README tests Euclidean with before)",
        unit_length="configs/softmax_triplet_with_center.yml: TEST.FEAT_NORM yes",
        distance="utils/reid_metric.py: R1_mAP, squared Euclidean",
    ),
    remarks=("the stem of its ResNet has no relu (modeling/backbones/resnet.py), that of its ResNet-IBN-a has one",),
)
