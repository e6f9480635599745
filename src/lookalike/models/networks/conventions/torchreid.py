"""torchreid (deep-person-reid 1.4.0; its package, 0.2.5, has the same files under `torchreid/reid/`)."""

from dataclasses import replace

from lookalike.models.networks.conventions.convention import Convention, stands_in

TORCHREID = Convention(
    project="torchreid",
    version="1.4.0",
    taken="what the network gives in evaluation: behind the linear layer, its batch norm and relu where it has one",
    unit_length=False,
    distance="euclidean",
    remarks=("docs/MODEL_ZOO.md tests osnet_ain_x1_0 by cosine, all others by Euclidean distance",),
    sources=stands_in(
        height__width="torchreid/data/datamanager.py: height=256, width=128; docs/MODEL_ZOO.md: Input (256, 128)",
        resize="torchreid/data/transforms.py: Resize((height, width))",
        interpolation__antialias="torchreid/data/transforms.py: torchvision's Resize of a picture, bilinear by default",
        mean__std="torchreid/data/transforms.py: norm_mean, norm_std of ImageNet",
        channels="torchreid/utils/tools.py: read_image, convert('RGB')",
        flip__scales__parts="torchreid/engine/engine.py: extract_features runs the network once",
        taken="torchreid/models/osnet.py, resnet.py and others: `if not self.training: return v`",
        unit_length="torchreid/engine/engine.py: normalize_feature=False by default",
        distance="torchreid/engine/engine.py: dist_metric='euclidean' by default",
    ),
)
HACNN = replace(
    TORCHREID,
    project="torchreid hacnn",
    height=160,
    width=64,
    taken="the two branches, of unit length each, one behind the other",
    sources={
        **TORCHREID.sources,
        **stands_in(
            height__width="torchreid/models/hacnn.py: forward refuses anything but 160 x 64; docs/MODEL_ZOO.md",
            taken="torchreid/models/hacnn.py: l2 normalization before concatenation",
        ),
    },
    remarks=("regions are cut by grid_sample, whose align_corners was True before torch 1.3 and is False since",),
)
PCB = replace(
    TORCHREID,
    project="torchreid pcb",
    height=384,
    taken="stripes of the last features, of unit length each, one behind the other",
    sources={
        **TORCHREID.sources,
        **stands_in(
            height__width="none in the project; Sun et al. 2018 (arXiv 1711.09349), section 4: 384 x 128",
            taken="torchreid/models/pcb.py: F.normalize(v_g, p=2, dim=1)",
        ),
    },
    remarks=("pcb runs at any size: the project leaves it to the command line (--height, --width)",),
)
