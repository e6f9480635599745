"""CLIP-ReID (Li et al. 2023), Syliz517/CLIP-ReID at 4c0eb20."""

from dataclasses import replace

from lookalike.models.networks.conventions.convention import (
    HALVES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Convention,
    stands_in,
)

CLIP_REID = Convention(
    project="CLIP-ReID",
    version="4c0eb20",
    mean=HALVES,
    std=HALVES,
    taken="class token and its projection, from before the batch norms, one behind the other",
    sources=stands_in(
        height__width="configs/person/vit_clipreid.yml: INPUT.SIZE_TEST [256, 128]",
        resize="datasets/make_dataloader_clipreid.py: T.Resize(cfg.INPUT.SIZE_TEST)",
        interpolation__antialias=(
            "datasets/make_dataloader_clipreid.py: val_transforms have T.Resize without interpolation, so bilinear; "
            "training has interpolation=3, bicubic"
        ),
        mean__std="configs/person/vit_clipreid.yml: INPUT.PIXEL_MEAN, PIXEL_STD 0.5",
        channels="datasets/bases.py: read_image, convert('RGB')",
        flip__scales__parts="processor/processor_clipreid_stage2.py: do_inference runs the network once",
        taken="configs/person/vit_clipreid.yml: TEST.NECK_FEAT before; model/make_model_clipreid.py: torch.cat",
        unit_length="configs/person/vit_clipreid.yml: TEST.FEAT_NORM yes",
        distance="utils/metrics.py: R1_mAP_eval, Euclidean",
    ),
    remarks=("with SIE_CAMERA every image needs its camera, counted from 0 as in training (SIE_COE 1.0)",),
)
CLIP_REID_RN50 = replace(
    CLIP_REID,
    project="CLIP-ReID RN50",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    taken="the mean over the last features and what attention makes of them, from before the batch norms",
    sources={
        **CLIP_REID.sources,
        **stands_in(
            height__width="configs/person/cnn_clipreid.yml: INPUT.SIZE_TEST [256, 128]",
            mean__std="configs/person/cnn_clipreid.yml: INPUT.PIXEL_MEAN, PIXEL_STD of ImageNet",
            taken="configs/person/cnn_clipreid.yml: TEST.NECK_FEAT before; model/make_model_clipreid.py",
        ),
    },
    remarks=(),
)
