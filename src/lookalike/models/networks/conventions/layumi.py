"""layumi/Person_reID_baseline_pytorch, model.py at 671a1e2 and test.py at 017b163 where nothing else is said.

The networks of `LAYUMI_OTHERS` and `LAYUMI_SWIN` came later: their model.py was read in copies that others keep of it.
"""

from dataclasses import replace

from lookalike.models.networks.conventions.convention import Convention, stands_in

LAYUMI = Convention(
    project="layumi",
    version="671a1e2",
    interpolation="bicubic",
    flip="sum",
    taken="behind the linear layer and batch norm before the classifier",
    distance="cosine",
    sources=stands_in(
        height__width="test.py: Resize((256, 128)); (288, 144) before 2018-12 (5ee9b7e)",
        resize="test.py: Resize((256, 128))",
        interpolation__antialias="test.py: Resize(..., interpolation=3) of a picture",
        mean__std="test.py: Normalize with the values of ImageNet",
        channels="test.py: ImageFolder, which reads RGB",
        flip="test.py: extract_feature adds the output for fliplr(img)",
        scales="test.py: --ms 1 by default (versions from 2019 on)",
        parts="test.py: only for PCB",
        taken="test.py from 2019 on: model.classifier.classifier = nn.Sequential(), see its forks",
        unit_length="test.py: ff.div(fnorm)",
        distance="evaluate.py: the product of vectors of unit length",
    ),
    remarks=(
        "versions of 2018 test the mean over the last features instead (2048 numbers), and nothing in a file tells it",
        "until 2020 a leaky relu of 0.1 stands behind the batch norm, which leaves no tensor",
    ),
)
LAYUMI_PCB = replace(
    LAYUMI,
    project="layumi PCB",
    height=384,
    width=192,
    parts=6,
    taken="six stripes of the last features, summed over both images, of unit length each",
    sources={
        **LAYUMI.sources,
        **stands_in(
            height__width="test.py: Resize((384, 192)) for PCB",
            parts="test.py: fnorm over dim 1 times sqrt(6), for PCB",
            taken="model.py: PCB_test; test.py: extract_feature",
        ),
    },
    remarks=(),
)
LAYUMI_OTHERS = replace(
    LAYUMI,
    project="layumi trunks",
    version="15caa24",
    sources={
        **LAYUMI.sources,
        **stands_in(
            height__width="test_with_TensorRT.py at 15caa24, as test.py: h, w = 256, 128",
            taken="test_with_TensorRT.py at 15caa24, as test.py: model.classifier.classifier = nn.Sequential()",
        ),
    },
    remarks=(),
)
LAYUMI_SWIN = replace(
    LAYUMI_OTHERS,
    project="layumi Swin",
    height=224,
    width=224,
    sources={
        **LAYUMI_OTHERS.sources,
        **stands_in(height__width="test_with_TensorRT.py at 15caa24, as test.py: h, w = 224, 224 with use_swin"),
    },
)
