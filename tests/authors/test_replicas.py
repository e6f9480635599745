"""Networks of projects that no registry has: ours beside what torch, torchvision and timm make after their files."""

import numpy as np
import pytest
import recipe
import replicas
import torch

from lookalike.models.networks.assembled import assembled
from small_networks import fill, shapes_of


@pytest.mark.slow
@pytest.mark.parametrize("name", replicas.REPLICAS)
def test_the_embedding_is_that_of_the_replica(name: str) -> None:
    build, project, _ = replicas.REPLICAS[name]
    theirs = fill(build(depth=2) if project == "TransReID" else build())
    for key, value in theirs.named_parameters():
        if ".NL_" in key and value.shape[0] == 1:  # products of three projections, which would outgrow all else
            value.data *= 0.01
    made = assembled(shapes_of(theirs), build.size)
    assert made is not None
    assert made.convention.project == project
    made.network.load_state_dict({key: theirs.state_dict()[key] for key in made.network.state_dict()})
    made.network.eval()
    patches = project == "TransReID"  # which takes its own size alone; others are quicker at a smaller one
    images = torch.from_numpy(recipe.pixels(*(build.size if patches else (96, 48))))
    sides = (torch.tensor([4, 1]),) if patches else ()
    with torch.no_grad():
        expected, found_embedding = theirs.tested(images, *sides).numpy(), made.with_rules()(images, *sides).numpy()
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (expected, found_embedding)]
    assert (unit[0] * unit[1]).sum(1).min() > 1 - 1e-6
    assert (unit[0][0] * unit[0][1]).sum() < 0.9999  # two images, two embeddings
