"""A gallery that stays open: when another process moves it to another model, it is opened again."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock, local
from typing import TypeVar

from lookalike.errors import LookalikeError
from lookalike.gallery.gallery import Gallery
from lookalike.gallery.rows import ReplacedError, StoreError
from lookalike.inference.encoder import Encoder
from lookalike.serving.log_lines import LOG
from lookalike.serving.shared_calls import for_requests

_Result = TypeVar("_Result")


@dataclass(eq=False)
class _Opening:
    """A gallery as it was opened once.

    Attributes:
        gallery: Open.
        given: What its model embedded with before.
        encoder: Made of that for requests.
        calls: That use it now.
        last: Whether no later one was opened.
        owner: Whether its network is used by no later one.
    """

    gallery: Gallery
    given: Encoder
    encoder: Encoder
    calls: int = 0
    last: bool = True
    owner: bool = True

    def close(self) -> None:
        """Lets go of it; its model is as it was."""
        if self.owner:
            self.gallery.model.encoder = self.given
        self.gallery.close()
        if not self.owner or self.encoder.network is self.given.network:
            return
        if (close := getattr(self.encoder.network, "close", None)) is not None:
            close()


class KeptOpen:
    """A gallery and its network, as requests use it.

    A function that is called sees one gallery from its beginning to its end, whoever opens it again meanwhile; a former
    one is closed when the last function that uses it ends.

    Args:
        gallery: Open; it is closed by `close`.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._turn, self._counting, self._of_thread = Lock(), Lock(), local()
        self._now = _made_ready(gallery)
        self._open = [self._now]

    @property
    def gallery(self) -> Gallery:
        """That of the function that is being called; outside of one, as it was opened last."""
        return self._used.gallery

    @property
    def encoder(self) -> Encoder:
        """Of its model, made for requests."""
        return self._used.encoder

    @property
    def _used(self) -> _Opening:
        used: _Opening | None = getattr(self._of_thread, "used", None)
        return used or self._now

    def call(self, function: Callable[[], _Result]) -> _Result:
        """What a function gives; where the gallery was replaced meanwhile, it is opened again and asked once more.

        Args:
            function: Asks or changes `gallery`.

        Raises:
            StoreError: It cannot be opened again.
        """
        try:
            with self._using() as used:
                return function()
        except ReplacedError:  # raised before anything is changed
            with self._turn:
                if self._now is used:
                    self._open_again()
        with self._using():
            return function()

    @contextmanager
    def _using(self) -> Iterator[_Opening]:
        """The gallery as it was opened last, for this thread."""
        before: _Opening | None = getattr(self._of_thread, "used", None)
        with self._counting:
            used = self._now
            used.calls += 1
        self._of_thread.used = used
        try:
            yield used
        finally:
            self._of_thread.used = before
            with self._counting:
                used.calls -= 1
            self._close_former()

    def close(self) -> None:
        """Lets go of it; its model is as it was."""
        with self._counting:
            closing, self._open = self._open, []
        for opening in reversed(closing):
            opening.close()

    def _close_former(self) -> None:
        with self._counting:
            done = [opening for opening in self._open if not opening.last and not opening.calls]
            self._open = [opening for opening in self._open if opening not in done]
        for opening in done:
            opening.close()

    def _open_again(self) -> None:
        former = self._now
        try:
            fresh = _made_ready(former.gallery.opened_again(), former)
        except LookalikeError as error:
            raise StoreError(f"the gallery was replaced and cannot be opened again: {error}") from error
        with self._counting:
            self._open.append(fresh)
            self._now, former.last = fresh, False
        self._close_former()  # other threads may be amid a call: the last of them closes it
        LOG.info(json.dumps({"opened_again": fresh.gallery.name, "fingerprint": fresh.encoder.fingerprint}))


def _made_ready(gallery: Gallery, former: _Opening | None = None) -> _Opening:
    try:
        if former is not None and gallery.model is former.gallery.model:
            made = _Opening(gallery, former.given, former.encoder)
            former.owner = False
            return made
        given = gallery.encoder
        encoder = replace(given, network=for_requests(given))
    except BaseException:
        gallery.close()
        raise
    gallery.model.encoder = encoder
    return _Opening(gallery, given, encoder)
