"""Whether timm's hub can be reached."""

import requests
from huggingface_hub import constants


def look_before_asking() -> None:
    """Without a network the hub's client would ask for over a minute; told so, it looks into its cache at once."""
    try:
        requests.head(constants.ENDPOINT, timeout=5)
    except requests.RequestException:
        constants.HF_HUB_OFFLINE = True
