"""Bundles in repositories of the Hugging Face Hub, or of a server that speaks its protocol (HF_ENDPOINT)."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import LookalikeError, one_line
from lookalike.inference.bundle import CONFIG, content_of
from lookalike.settings.paths import without_login
from lookalike.sharing.places import HubPlace, SharingError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_OWN_ADDRESS = "https://huggingface.co"
_SECONDS = (5, 8)  # for a connection, for an answer
_TOKEN = re.compile(r"\bhf_\w+|(?i:bearer)\s+\S+")
_NO_TOKEN = "no token is known: hf auth login, or set HF_TOKEN"
_TOLD = {  # what an answer of the Hub means here
    401: "the token is missing, wrong or out of date: hf auth login, or set HF_TOKEN to one that may do this",
    403: "the token may not do this: take one with the right to write there, or ask its owner",
    404: "nothing is there, or it is private and the token may not see it: look for owner, name and revision",
    409: "it is there already and not a repository of models, or somebody changes it: choose another name",
    413: "it is larger than the server takes: leave out images (gallery.include=), or store the bundle elsewhere",
    429: "too many requests: try again later",
}


def push_to_hub(folder: Path, place: HubPlace, private: bool, message: str) -> str:
    """Sends the files of a folder as one commit; the repository is made where there is none.

    Args:
        folder: A prepared bundle.
        place: The repository and, if any, its branch.
        private: Of a repository that is made now.
        message: Of the commit.

    Returns:
        The commit.

    Raises:
        SharingError: The Hub cannot be reached, or refuses.
    """
    from huggingface_hub import get_token

    with _asking(place) as hub:
        if get_token() is None:
            raise SharingError(f"{place}: {_NO_TOKEN}")
        if not hub.repo_exists(place.repository):
            hub.create_repo(place.repository, private=private or None, repo_type="model")
        if place.revision is not None:
            hub.create_branch(place.repository, branch=place.revision, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=place.repository, folder_path=folder, revision=place.revision, commit_message=message
        )
        return str(commit.oid)


def pull_from_hub(place: HubPlace, folder: Path) -> str:
    """Fetches the files of a bundle, those that its own list names, and nothing else of the repository.

    Args:
        place: The repository and, if any, branch, tag or commit.
        folder: Empty.

    Returns:
        The commit they are of.

    Raises:
        SharingError: The Hub cannot be reached or refuses, or there is no bundle.
        BundleError: What lies there is no bundle of this version.
    """
    with _asking(place) as hub:
        commit = str(hub.model_info(place.repository, revision=place.revision).sha)
        if not hub.file_exists(place.repository, CONFIG, revision=commit):
            raise SharingError(f"{place}: no {CONFIG} there, so no bundle of lookalike: give a repository that has one")
        hub.hf_hub_download(place.repository, CONFIG, revision=commit, local_dir=folder)
        _, files = content_of(folder)
        wanted = [escape(name) for name in files]
        hub.snapshot_download(place.repository, revision=commit, local_dir=folder, allow_patterns=wanted)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # what the Hub's client keeps beside its files
    return commit


@contextmanager
def _asking(place: HubPlace) -> Iterator["HfApi"]:
    """The Hub; what it refuses becomes one line, without tokens and logins.

    Args:
        place: For the line.

    Raises:
        SharingError: It is not there, or it refuses.
    """
    import requests
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _OWN_ADDRESS
    shown = without_login(endpoint)
    if constants.HF_HUB_OFFLINE:
        raise SharingError(
            f"{place}: HF_HUB_OFFLINE is set, and the Hub is needed: unset it, or copy the folder by hand"
        )
    try:
        requests.head(endpoint, timeout=_SECONDS).close()
    except requests.RequestException as error:
        raise SharingError(
            f"{place}: {shown} cannot be reached ({type(error).__name__}): look at the network, a proxy, HF_ENDPOINT; "
            "a bundle is a folder, and can be copied by hand, too"
        ) from error
    disable_progress_bars()
    try:
        yield HfApi(endpoint=endpoint)
    except LookalikeError:
        raise
    except Exception as error:
        # The Hub's client passes on what its parts raise: its own types, HTTP, checks of names.
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            raise  # of this machine's disk
        raise SharingError(f"{place}: {shown} refuses: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = without_token(one_line(without_login(str(error)), 200))
    if status is None:
        return f"{type(error).__name__}: {reason}: try again, or copy the folder by hand"
    advice = _TOLD.get(status) or ("its fault, not yours: try again later" if status >= 500 else reason)
    return f"HTTP {status}: {advice}"


def without_token(text: str) -> str:
    """A text without what may be a token.

    Args:
        text: Such as an error of another package.
    """
    own = os.environ.get("HF_TOKEN")
    return _TOKEN.sub("***", text.replace(own, "***") if own else text)
