from lookalike.models.networks.conventions.torchreid import HACNN, PCB, TORCHREID


def test_kinds_differ_in_size_and_in_what_is_taken() -> None:
    assert [(way.height, way.width) for way in (TORCHREID, HACNN, PCB)] == [(256, 128), (160, 64), (384, 128)]
    assert TORCHREID.facts()["unit_length"] == (False, TORCHREID.sources["unit_length"])
    assert len({way.taken for way in (TORCHREID, HACNN, PCB)}) == 3
    assert "1711.09349" in PCB.sources["height"]
