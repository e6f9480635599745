"""AGW (Ye et al. 2021, "Deep learning for person re-identification: a survey and outlook"), at 26faa72."""

from lookalike.models.networks.conventions.convention import Convention, stands_in

AGW = Convention(
    project="AGW",
    version="26faa72",
    taken="behind the batch norm",
    sources=stands_in(
        height__width="configs/AGW_baseline.yml: INPUT.IMG_SIZE [256, 128]",
        resize="data/transforms.py: T.Resize(cfg.INPUT.IMG_SIZE)",
        interpolation__antialias="data/transforms.py: T.Resize of a picture, bilinear by default",
        mean__std="config/defaults.py: INPUT.PIXEL_MEAN, PIXEL_STD of ImageNet",
        channels="data/datasets/dataset_loader.py: read_image, convert('RGB')",
        flip__scales__parts="tools/test.py: the network is run once",
        taken="modeling/baseline.py: `if not self.training: return feat`",
        unit_length="configs/AGW_baseline.yml: TEST.FEAT_NORM on",
        distance="utils/reid_metric.py: r1_mAP_mINP, squared Euclidean",
    ),
    remarks=("the stem of its ResNet has no relu (modeling/backbones/resnet_nl.py)",),
)
