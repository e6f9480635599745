"""Micro-batches: images of concurrent requests share a call of the network.

Measured on two cores: OpenVINO is quickest with one image at a time, one thread per core, so its calls are not shared
(see docs/decisions.md). On a GPU a call of many images costs little more than one of a single image.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from time import monotonic

import numpy as np

from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import Network, OpenVinoNetwork

_WAIT = 0.003  # seconds that an image waits for company


class SharedCalls:
    """A network that takes one image at a time from each of many threads, and runs them together.

    Args:
        network: With its own B.
    """

    batch = 1

    def __init__(self, network: Network) -> None:
        self._network = network
        self._queue: SimpleQueue[tuple[np.ndarray, Future[np.ndarray]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="shared-calls", daemon=True)
        self._thread.start()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """float32 [1, D] of uint8 [1, H, W, 3]; waits for its batch."""
        answer: Future[np.ndarray] = Future()
        self._queue.put((images, answer))
        return answer.result()

    def close(self) -> None:
        """Answers what waits, and ends."""
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            waiting, ended = [first], False
            until = monotonic() + _WAIT
            while len(waiting) < self._network.batch and (left := until - monotonic()) > 0:
                try:
                    item = self._queue.get(timeout=left)
                except Exception:
                    break
                if item is None:
                    ended = True
                    break
                waiting.append(item)
            self._answer(waiting)
            if ended:
                return

    def _answer(self, waiting: list[tuple[np.ndarray, "Future[np.ndarray]"]]) -> None:
        batch = np.zeros((self._network.batch, *waiting[0][0].shape[1:]), np.uint8)
        for place, (image, _) in enumerate(waiting):
            batch[place] = image[0]
        try:
            embeddings = self._network(batch)
        except BaseException as error:
            for _, answer in waiting:
                answer.set_exception(error)
            return
        for place, (_, answer) in enumerate(waiting):
            answer.set_result(embeddings[place : place + 1].copy())


def for_requests(encoder: Encoder) -> Network:
    """The network of an encoder as a service runs it: one image per call, shared with others where that pays.

    Args:
        encoder: Of a model.
    """
    if isinstance(encoder.network, OpenVinoNetwork):
        return encoder.network.in_batches_of(1)
    return encoder.network if encoder.network.batch == 1 else SharedCalls(encoder.network)
