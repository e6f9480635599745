"""Micro-batches: images of concurrent requests share a call of the network.

Measured on two cores: OpenVINO is quickest with one image at a time, one thread per core, so its calls are not shared
(see docs/decisions.md). On a GPU a call of many images costs little more than one of a single image.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from time import monotonic

import numpy as np

from lookalike.errors import LookalikeError
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
        self._network, self._closing, self._closed = network, threading.Lock(), False
        self._queue: SimpleQueue[tuple[np.ndarray, Future[np.ndarray]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="shared-calls", daemon=True)
        self._thread.start()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """float32 [1, D] of uint8 [1, H, W, 3]; waits for its batch.

        Raises:
            LookalikeError: It was closed.
        """
        answer: Future[np.ndarray] = Future()
        with self._closing:  # what is behind the end of the queue would wait for ever
            if self._closed:
                raise LookalikeError("the network was closed: load the model again")
            self._queue.put((images, answer))
        return answer.result()

    def close(self) -> None:
        """Answers what waits, and ends."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            waiting, ended = [first], False
            until = monotonic() + _WAIT
            while len(waiting) < self._network.batch and (left := until - monotonic()) > 0:
                try:
                    item = self._queue.get(timeout=left)
                except Empty:
                    break
                if item is None:
                    ended = True
                    break
                waiting.append(item)
            self._answer(waiting)
            if ended:
                return

    def _answer(self, waiting: list[tuple[np.ndarray, "Future[np.ndarray]"]]) -> None:
        try:
            batch = np.zeros((self._network.batch, *waiting[0][0].shape[1:]), np.uint8)
            for place, (image, _) in enumerate(waiting):
                batch[place] = image[0]
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
    network = encoder.network
    if network.batch == 1:
        return network
    return network.in_batches_of(1) if isinstance(network, OpenVinoNetwork) else SharedCalls(network)
