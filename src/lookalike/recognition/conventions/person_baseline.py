"""layumi/Person_reID_baseline_pytorch: ft_net and its sisters with a ClassBlock, PCB."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.conventions.convention import IMAGENET, Convention, Step, has


def _shown_by(contents: Contents) -> str:
    return "names classifier*.add_block.*" if has(contents, r"classifier\d?\.add_block\.") else ""


PERSON_BASELINE = Convention(
    project="Person_reID_baseline_pytorch",
    version="of 2024",
    shown_by=_shown_by,
    backbone=r"model\.(features\.)?",
    facts={
        "last_stride": (2, "stride of ft_net in model.py"),
        "pooling": ("avg", "model.py"),
        "taken": ("behind the neck", "test.py"),
        "height": (256, "test.py"),
        "width": (128, "test.py"),
        "resize": ("stretch", "test.py"),
        "interpolation": ("bicubic", "test.py"),
        "antialias": (True, "test.py"),
        "mean": (IMAGENET["mean"], "test.py"),
        "std": (IMAGENET["std"], "test.py"),
        "channels": ("RGB", "torchvision's ImageFolder in test.py"),
        "flip": (True, "extract_feature of test.py"),
    },
    steps=(Step(r"classifier\.add_block\.\d+"),),
    left_out=r"classifier\d?\.classifier\..*|model\.(fc|classifier|head)\..*",
    settings={"last_stride": ("stride",)},
    changes={"densenet": ("no last relu",)},
)
