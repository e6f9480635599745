"""The table of architectures is that of the installed timm, and finds what is whole."""

import pytest
import timm

from lookalike.recognition.catalogue import (
    architectures,
    depends_on_size,
    mark,
    outline,
    sampled,
    shapes_of,
    table_line,
    unfilled,
    whole_sample,
)


def test_the_table_has_every_architecture_of_timm() -> None:
    """Else: python -c 'from lookalike.recognition.catalogue import write_table; write_table()'."""
    assert set(architectures()) == set(timm.list_models())


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext", "resnet18"])
def test_a_line_is_what_timm_builds(name: str) -> None:
    line = table_line(name, shapes_of(unfilled(name)))
    count, marks = architectures()[name]
    assert line.split()[:2] == [name, str(count)]
    assert [int(text, 16) for text in line.split()[2:]] == list(marks)


def test_a_whole_network_has_its_whole_sample() -> None:
    counts = sampled(mark(name, shape) for name, shape in outline("resnet18").items())
    assert counts["resnet18"] == whole_sample("resnet18")
    assert counts["resnet34"] < whole_sample("resnet34")


def test_what_depends_on_the_size_of_images_is_not_sampled() -> None:
    assert depends_on_size("pos_embed")
    assert depends_on_size("layers.0.blocks.1.attn.relative_position_bias_table")
    assert not depends_on_size("patch_embed.proj.weight")
    assert outline("vit_tiny_patch16_224", (96, 64))["pos_embed"] == (1, 25, 192)
