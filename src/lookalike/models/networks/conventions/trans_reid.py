"""TransReID (He et al. 2021), damo-cv/TransReID at 6227ebd."""

from lookalike.models.networks.conventions.convention import HALVES, Convention, stands_in

TRANS_REID = Convention(
    project="TransReID",
    version="6227ebd",
    mean=HALVES,
    std=HALVES,
    taken="class tokens from before the batch norms; with JPM the global one and a quarter of the four local ones",
    sources=stands_in(
        height__width="configs/Market/vit_transreid_stride.yml: INPUT.SIZE_TEST [256, 128]",
        resize="datasets/make_dataloader.py: T.Resize(cfg.INPUT.SIZE_TEST)",
        interpolation__antialias=(
            "datasets/make_dataloader.py: val_transforms have T.Resize without interpolation, so bilinear; "
            "training has interpolation=3, bicubic"
        ),
        mean__std="configs/Market/vit_transreid_stride.yml: INPUT.PIXEL_MEAN, PIXEL_STD 0.5",
        channels="datasets/bases.py: read_image, convert('RGB'), as its child CLIP-ReID has it",
        flip__scales__parts="processor/processor.py: do_inference runs the network once",
        taken="configs/Market/*.yml: TEST.NECK_FEAT before; model/make_model.py divides local features by 4",
        unit_length="configs/Market/*.yml: TEST.FEAT_NORM yes",
        distance="utils/metrics.py: R1_mAP_eval, Euclidean",
    ),
    remarks=(
        "with SIE_CAMERA every image needs its camera, counted from 0 as in training (SIE_COE 3.0)",
        "vehicles (configs/VeRi) have 256 x 256 pixels; stride 12 or 16, by configuration",
    ),
)
