"""fast-reid 1.4.0: Baseline with ResNet, EmbeddingHead; BoT, AGW and SBS differ by pooling, non-local blocks, size."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.conventions.convention import IMAGENET, Convention, Step, has


def _shown_by(contents: Contents) -> str:
    return "names backbone.* and heads.*" if has(contents, r"backbone\.", r"heads\.") else ""


FAST_REID = Convention(
    project="fast-reid",
    version="1.4.0",
    shown_by=_shown_by,
    backbone=r"backbone\.",
    facts={
        "last_stride": (1, "MODEL.BACKBONE.LAST_STRIDE of config/defaults.py"),
        "pooling": ("avg", "MODEL.HEADS.POOL_LAYER of config/defaults.py"),
        "taken": ("behind the neck", "modeling/heads/embedding_head.py"),
        "height": (256, "INPUT.SIZE_TEST of config/defaults.py"),
        "width": (128, "INPUT.SIZE_TEST of config/defaults.py"),
        "resize": ("stretch", "data/transforms/build.py"),
        "interpolation": ("bicubic", "data/transforms/build.py"),
        "antialias": (True, "data/transforms/build.py"),
        "mean": (IMAGENET["mean"], "MODEL.PIXEL_MEAN of config/defaults.py, of 0..255 there"),
        "std": (IMAGENET["std"], "MODEL.PIXEL_STD of config/defaults.py, of 0..255 there"),
        "channels": ("RGB", "data/data_utils.py"),
        "flip": (False, "TEST.FLIP.ENABLED of config/defaults.py"),
    },
    steps=(Step(r"heads\.(bottleneck|bnneck)(\.\d+)?"),),
    left_out=r"heads\.(weight|classifier(\..*)?|cls_layer\..*)|pixel_(mean|std)",
    settings={
        "last_stride": ("model.backbone.last_stride",),
        "pooling": ("model.heads.pool_layer",),
        "size": ("input.size_test",),
        "mean": ("model.pixel_mean",),
        "std": ("model.pixel_std",),
        "flip": ("test.flip.enabled",),
    },
    changes={"resnet": ("max pool without padding",)},
)
