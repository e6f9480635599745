"""A gallery that stays open: when another process moves it to another model, it is opened again."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from threading import Lock
from typing import TypeVar

from lookalike.errors import LookalikeError
from lookalike.gallery.gallery import Gallery
from lookalike.gallery.rows import ReplacedError, StoreError
from lookalike.inference.encoder import Encoder
from lookalike.serving.log_lines import LOG
from lookalike.serving.shared_calls import for_requests

_Result = TypeVar("_Result")


class KeptOpen:
    """A gallery and its network, as requests use it.

    Attributes:
        gallery: As it was opened last.
        encoder: Of its model, made for requests.

    Args:
        gallery: Open; it is closed by `close`.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._turn, self._let_go = Lock(), ExitStack()
        self.gallery, self.encoder = gallery, self._made_ready(gallery)

    def call(self, function: Callable[[], _Result]) -> _Result:
        """What a function gives; where the gallery was replaced meanwhile, it is opened again and asked once more.

        Args:
            function: Asks or changes `gallery`.

        Raises:
            StoreError: It cannot be opened again.
        """
        used = self.gallery
        try:
            return function()
        except ReplacedError:  # raised before anything is changed
            with self._turn:
                if self.gallery is used:
                    self._open_again()
            return function()

    def close(self) -> None:
        """Lets go of it; its model is as it was."""
        self._let_go.close()

    def _open_again(self) -> None:
        try:
            fresh = self.gallery.opened_again()
            # The former one stays open: other threads may be amid a call.
            self.encoder, self.gallery = self._made_ready(fresh), fresh
        except LookalikeError as error:
            raise StoreError(f"the gallery was replaced and cannot be opened again: {error}") from error
        LOG.info(json.dumps({"opened_again": self.gallery.name, "fingerprint": self.encoder.fingerprint}))

    def _made_ready(self, gallery: Gallery) -> Encoder:
        try:
            given = gallery.encoder
            encoder = replace(given, network=for_requests(given))
        except BaseException:
            gallery.close()
            raise
        gallery.model.encoder = encoder
        self._let_go.callback(_give_back, gallery, given, encoder)
        return encoder


def _give_back(gallery: Gallery, given: Encoder, encoder: Encoder) -> None:
    gallery.model.encoder = given
    gallery.close()
    if encoder.network is not given.network and (close := getattr(encoder.network, "close", None)) is not None:
        close()
