"""fast-reid 1.4.0 (the package of that name on the registry), configurations of JDAI-CV/fast-reid at 07b8251."""

from dataclasses import replace

from lookalike.models.networks.conventions.convention import Convention, stands_in

FAST_REID = Convention(
    project="fast-reid",
    version="1.4.0",
    interpolation="bicubic",
    taken="behind the batch norm of the head, where it has one",
    unit_length=True,
    distance="cosine",
    sources=stands_in(
        height__width="configs/Base-bagtricks.yml: INPUT.SIZE_TEST [256, 128]; the same in fastreid/config/defaults.py",
        resize="fastreid/data/transforms/build.py: T.Resize(size_test)",
        interpolation__antialias="fastreid/data/transforms/build.py: T.Resize(..., interpolation=3) of a picture",
        mean__std="fastreid/config/defaults.py: MODEL.PIXEL_MEAN, PIXEL_STD of ImageNet, there of 0..255",
        channels="fastreid/data/data_utils.py: read_image, convert('RGB')",
        flip="fastreid/config/defaults.py: TEST.FLIP.ENABLED False; else the mean, evaluation/evaluator.py",
        scales__parts="fastreid/evaluation/evaluator.py: inference_on_dataset runs the network once",
        taken="fastreid/modeling/heads/embedding_head.py: `if not self.training: return neck_feat`",
        unit_length="fastreid/utils/compute_dist.py: compute_cosine_distance normalises both",
        distance="fastreid/config/defaults.py: TEST.METRIC cosine",
    ),
    remarks=(
        "the backbone ResNet pools without padding (ceil_mode), which timm's and torchvision's do not",
        "AGW's configurations have 256 x 128 pixels, SBS's 384 x 128, with the same tensors",
    ),
)
SBS = replace(
    FAST_REID,
    project="fast-reid SBS",
    height=384,
    sources={
        **FAST_REID.sources,
        **stands_in(height__width="configs/Base-SBS.yml and configs/Base-MGN.yml: INPUT.SIZE_TEST [384, 128]"),
    },
)
