from lookalike.models.networks.conventions.layumi import LAYUMI, LAYUMI_OTHERS, LAYUMI_PCB, LAYUMI_SWIN


def test_sizes_are_those_of_the_tests_and_the_mirrored_image_is_added() -> None:
    sizes = {way.project: (way.height, way.width) for way in (LAYUMI, LAYUMI_OTHERS, LAYUMI_PCB, LAYUMI_SWIN)}
    assert sizes == {
        "layumi": (256, 128),
        "layumi trunks": (256, 128),
        "layumi PCB": (384, 192),
        "layumi Swin": (224, 224),
    }
    assert {(way.flip, way.interpolation) for way in (LAYUMI, LAYUMI_OTHERS, LAYUMI_PCB, LAYUMI_SWIN)} == {
        ("sum", "bicubic")
    }
    assert LAYUMI_SWIN.facts()["height"][1].endswith("with use_swin")
