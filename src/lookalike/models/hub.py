"""Whether timm's hub can be reached."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from huggingface_hub import constants

_ASKED = threading.RLock()  # the setting is one of the whole process


@contextmanager
def asked_in_time() -> Iterator[None]:
    """Asks for nothing inside the block where the hub cannot be reached: its client looks into its cache alone.

    Without a network the client would ask for over a minute. Its setting is as before behind the block.
    """
    with _ASKED:
        before = constants.HF_HUB_OFFLINE
        constants.HF_HUB_OFFLINE = before or not _reached()
        try:
            yield
        finally:
            constants.HF_HUB_OFFLINE = before


def _reached() -> bool:
    try:
        requests.head(constants.ENDPOINT, timeout=5)
    except requests.RequestException:
        return False
    return True
