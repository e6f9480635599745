"""Images of concurrent requests share calls of a network: the same embeddings, errors to all, and an end for all."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from lookalike import Model
from lookalike.errors import LookalikeError
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.serving.shared_calls import SharedCalls, for_requests


class Sums:
    """A network that is slow per call; notes how many images each call had."""

    def __init__(self, batch: int = 8, seconds: float = 0.02) -> None:
        self.batch, self.seconds, self.calls = batch, seconds, list[int]()
        self.error: Exception | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        assert images.shape[0] == self.batch
        self.calls.append(int((images.reshape(self.batch, -1).sum(axis=1) > 0).sum()))
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        sums = images.reshape(self.batch, -1).sum(axis=1, dtype=np.float32)
        return np.stack([sums, -sums], axis=1)


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, (count, 1, 6, 6, 3), np.uint8)


def test_many_threads_share_calls_and_get_their_own() -> None:
    network = Sums()
    shared, given = SharedCalls(network), pictures(64)
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(shared, given))
    shared.close()
    for result, picture in zip(results, given, strict=True):
        assert result.shape == (1, 2)
        assert result[0, 0] == picture.sum(dtype=np.float32)
    assert sum(network.calls) == 64
    assert len(network.calls) < 32, "concurrent images share calls"
    assert max(network.calls) > 2


def test_results_are_those_of_single_calls(digit_model: Model) -> None:
    graph = digit_model.encoder.network
    assert isinstance(graph, OpenVinoNetwork)
    four = graph.in_batches_of(4)
    side = digit_model.encoder.pixels.height
    given = np.random.default_rng(1).integers(0, 255, (12, 1, side, side, 3), np.uint8)
    shared = SharedCalls(four)
    with ThreadPoolExecutor(12) as pool:
        together = np.concatenate(list(pool.map(shared, given)))
    shared.close()
    alone = [four(np.concatenate([image, np.zeros((3, side, side, 3), np.uint8)]))[0] for image in given]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_an_error_reaches_everybody_and_the_next_call_goes_on() -> None:
    network = Sums(batch=4, seconds=0.05)
    shared = SharedCalls(network)
    network.error = MemoryError("no room")
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(shared, picture) for picture in pictures(4)]
        for answer in waiting:
            with pytest.raises(MemoryError, match="no room"):
                answer.result(5)
    network.error = None
    assert shared(pictures(1)[0]).shape == (1, 2)
    shared.close()


def test_an_image_of_another_size_harms_nobody_for_good() -> None:
    shared = SharedCalls(Sums())
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(shared, np.ones((1, side, side, 3), np.uint8)) for side in (6, 7)]
        for answer in both:
            answer.exception(5)
    assert shared(pictures(1)[0]).shape == (1, 2)
    shared.close()


def test_the_end_answers_what_waits_and_refuses_what_comes_later() -> None:
    network = Sums(batch=2, seconds=0.05)
    shared = SharedCalls(network)
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(shared, picture) for picture in pictures(10)]
        time.sleep(0.02)
        shared.close()
        assert [answer.result(5).shape for answer in waiting] == [(1, 2)] * 10
    with pytest.raises(LookalikeError, match="the network was closed: load the model again"):
        shared(pictures(1)[0])
    shared.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "shared-calls"]


def test_a_processor_runs_one_image_at_a_time(digit_model: Model) -> None:
    """Calls are shared where another device runs the network."""
    encoder = digit_model.encoder
    network = for_requests(encoder)
    assert isinstance(network, OpenVinoNetwork)
    assert (network.batch, encoder.network.batch) == (1, 2)
    assert for_requests(replace(encoder, network=network)) is network, "not compiled once more"


def test_another_device_shares_calls() -> None:
    made = for_requests(_encoder(Sums()))
    assert isinstance(made, SharedCalls)
    assert for_requests(_encoder(made)) is made
    made.close()
    alone = Sums(batch=1)
    assert for_requests(_encoder(alone)) is alone


def _encoder(network: Sums | SharedCalls) -> Encoder:
    from lookalike.data.pixels import PixelSettings

    return Encoder(network, PixelSettings(6, 6), "f" * 64, 2)
