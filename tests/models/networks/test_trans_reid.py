import pytest
import torch

from lookalike.models.networks.side_transformer import TransformerOptions
from lookalike.models.networks.trans_reid import TransReid, TransReidLocal
from small_networks import fill, idle, pixels, shapes_of

OPTIONS = TransformerOptions(size=(64, 32), stride=(12, 12), width=24, depth=2, heads=3)


def test_the_class_token_is_taken_from_before_the_batch_norm() -> None:
    network = fill(TransReid(OPTIONS))
    embedding = network(pixels())
    assert embedding.shape == (2, network.embedding_size) == (2, 24)
    torch.testing.assert_close(fill(TransReid(OPTIONS, taken="after"))(pixels()), network.bottleneck(embedding))


@pytest.mark.parametrize("taken", ["before", "after"])
def test_five_tokens_one_behind_the_other(taken: str) -> None:
    network = fill(TransReidLocal(OPTIONS, taken=taken, shift=3))  # type: ignore[arg-type]
    embedding = network(pixels())
    assert embedding.shape == (2, network.embedding_size) == (2, 120)
    unused = {name for name in shapes_of(network) if name.startswith(("base.blocks.1.", "base.norm."))}
    behind = {name for name in shapes_of(network) if name.startswith("bottleneck")} if taken == "before" else set()
    assert set(idle(network, pixels())) <= unused | behind


def test_patches_are_shifted_and_dealt_in_turn() -> None:
    network = TransReidLocal(OPTIONS, shift=3, shuffled=2)
    tokens = torch.arange(9.0)[None, :, None]  # the class token 0, patches 1 to 8
    assert network._shuffled(tokens).flatten().tolist() == [3, 7, 4, 8, 5, 1, 6, 2]
    odd = torch.arange(8.0)[None, :, None]
    assert network._shuffled(odd).flatten().tolist() == [3, 7, 4, 1, 5, 2, 6, 1]  # the last but one stands twice
