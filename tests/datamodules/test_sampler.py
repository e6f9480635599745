from collections import Counter
from itertools import chain

import numpy as np
import pytest

from lookalike.datamodules.sampler import LabelBatches, SamplerError, ShuffledBatches

# Labels with 1 to 200 images, in no order, with ids beyond what float32 can tell apart.
SIZES = {2**24: 1, 2**24 + 1: 2, 7: 3, 0: 5, 3: 8, 11: 200, 5: 4}
IDS = np.random.default_rng(0).permutation(np.repeat(list(SIZES), list(SIZES.values())))


def make(kind: str, seed: int = 1) -> ShuffledBatches | LabelBatches:
    return ShuffledBatches(37, 8, seed) if kind == "shuffled" else LabelBatches(IDS, 3, 4, seed)


@pytest.mark.parametrize("kind", ["shuffled", "labels"])
def test_an_epoch_depends_on_its_number_and_the_seed_alone(kind: str) -> None:
    used = make(kind)
    epochs = [list(used.batches(epoch)) for epoch in range(4)]
    half_drawn = used.batches(1)
    next(half_drawn)  # an epoch broken off, as by a killed run
    assert list(used.batches(3)) == epochs[3]
    assert list(make(kind).batches(3)) == epochs[3]
    other_seeds = [list(make(kind, seed).batches(0)) for seed in (0, 2, 2**32 - 1)]
    different = [*epochs, *other_seeds]
    assert all(a != b for i, a in enumerate(different) for b in different[:i])


@pytest.mark.parametrize("kind", ["shuffled", "labels"])
def test_batches_are_lists_of_plain_rows_as_many_as_promised(kind: str) -> None:
    sampler = make(kind)
    batches = list(sampler.batches(0))
    assert len(batches) == len(sampler)
    assert all(type(row) is int for row in chain(*batches))


@pytest.mark.parametrize(("rows", "size"), [(37, 8), (40, 8), (8, 8), (9, 2)])
def test_shuffled_rows_come_once_and_only_the_incomplete_batch_is_left_out(rows: int, size: int) -> None:
    sampler = ShuffledBatches(rows, size, seed=0)
    drawn = [list(sampler.batches(epoch)) for epoch in range(20)]
    for batches in drawn:
        assert [len(batch) for batch in batches] == [size] * (rows // size)
        flat = list(chain(*batches))
        assert len(set(flat)) == len(flat)
        assert set(flat) <= set(range(rows))
    assert set(chain(*chain(*drawn))) == set(range(rows))  # what is left out changes from epoch to epoch


@pytest.mark.parametrize(("p", "k"), [(3, 4), (7, 2), (3, 13), (2, 6), (7, 40)])
def test_label_batches_hold_p_labels_of_k_rows(p: int, k: int) -> None:
    sampler = LabelBatches(IDS, p, k, seed=0)
    assert len(sampler) == max(1, len(IDS) // (p * k))
    for batch in chain(*(sampler.batches(epoch) for epoch in range(10))):
        counts = Counter(IDS[batch].tolist())
        assert len(counts) == p
        assert set(counts.values()) == {k}
        for label in counts:
            times = Counter(row for row in batch if IDS[row] == label)
            # Rows repeat only where the label has fewer than K, and then as evenly as they can.
            assert len(times) == min(k, SIZES[label])
            assert max(times.values()) - min(times.values()) <= 1


def test_all_labels_and_all_images_are_used_in_turn() -> None:
    labels = np.repeat(np.arange(10), 12)
    batches = list(LabelBatches(labels, 5, 3, seed=4).batches(0))
    for first in range(0, len(batches), 2):
        assert set(labels[[*batches[first], *batches[first + 1]]]) == set(range(10))
    assert sorted(chain(*batches)) == list(range(120))


def test_labels_that_do_not_divide_wait_for_the_next_batch() -> None:
    labels = np.repeat(np.arange(7), 40)
    batches = list(LabelBatches(labels, 3, 2, seed=0).batches(0))
    drawn = [set(labels[batch].tolist()) for batch in batches]
    assert all(set.union(*drawn[i : i + 5]) == set(range(7)) for i in range(len(drawn) - 4))


def test_too_little_data_is_refused() -> None:
    with pytest.raises(
        SamplerError, match=r"batch_size=9, but there are 8 training images: use a smaller trainer\.batch"
    ):
        ShuffledBatches(8, 9, seed=0)
    with pytest.raises(
        SamplerError, match=r"labels_per_batch=8, but there are 7 training labels: use a smaller trainer\.labels"
    ):
        LabelBatches(IDS, 8, 2, seed=0)
