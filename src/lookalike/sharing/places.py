"""Where a bundle is pushed to and pulled from: `hf://<owner>/<name>[@<revision>]` or `mlflow://<name>[...]`."""

import re
from dataclasses import dataclass

from lookalike.errors import LookalikeError, did_you_mean, one_line

_FORMS = "hf://<owner>/<name>[@<branch>] or mlflow://<name>[@<alias>]"
_SCHEMES = ("hf", "mlflow")
_HUB_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
# MLflow's own rules for names say little, and some of its stores build addresses and queries of them.
_REGISTERED = re.compile(r"\w(?:[\w .-]{0,198}\w)?")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,254}")
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)  # of MLflow
_VERSION = re.compile(r"[1-9]\d{0,17}")


class SharingError(LookalikeError):
    """A bundle cannot be pushed or pulled."""


@dataclass(frozen=True)
class HubPlace:
    """A repository of the Hugging Face Hub.

    Attributes:
        owner: A user or an organisation.
        name: Of the repository.
        revision: Branch, tag or commit; None for the main branch.
    """

    owner: str
    name: str
    revision: str | None = None

    @property
    def repository(self) -> str:
        """As the Hub calls it."""
        return f"{self.owner}/{self.name}"

    def __str__(self) -> str:
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class RegisteredPlace:
    """A model of MLflow's registry.

    Attributes:
        name: Of the model.
        alias: Which version bears it; None for no matter.
        version: The version; None for that of the alias, else the latest.
    """

    name: str
    alias: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        version = f"/{self.version}" if self.version else ""
        return f"mlflow://{self.name}{version}" + (f"@{self.alias}" if self.alias else "")


Place = HubPlace | RegisteredPlace


def place_of(text: str) -> Place:
    """Reads an address.

    Args:
        text: As it was given.

    Raises:
        SharingError: It is none; the text says what is expected and never shows a login.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        raise SharingError(f"place={one_line(text, 100)}: expected {_FORMS}: write it so")
    if scheme.lower() not in _SCHEMES:
        hint = did_you_mean(scheme.lower(), list(_SCHEMES))
        raise SharingError(
            f"place={one_line(scheme, 40)}://...: expected {_FORMS}, found another scheme{hint}: write it so"
        )
    return _hub_place(rest) if scheme.lower() == "hf" else _registered_place(rest)


def _hub_place(rest: str) -> HubPlace:
    path, marked, revision = rest.partition("@")
    if ":" in path:
        raise SharingError(
            "place=hf://...: expected hf://<owner>/<name>, found a login in it: leave it out, set HF_TOKEN"
        )
    parts = path.strip("/").split("/")
    if len(parts) != 2 or not all(_HUB_PART.fullmatch(part) and not re.search(r"--|\.\.", part) for part in parts):
        raise SharingError(
            f"place=hf://{_shown(path)}: expected hf://<owner>/<name>, both of letters, digits, - . _ (no -- or .., at "
            "most 96): write it so"
        )
    if marked and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise SharingError(
            f"place=hf://{'/'.join(parts)}@{_shown(revision)}: expected a branch, tag or commit behind @: write it so"
        )
    return HubPlace(parts[0], parts[1], revision or None)


def _registered_place(rest: str) -> RegisteredPlace:
    path, marked, alias = rest.partition("@")
    name, cut, version = path.strip("/").partition("/")
    if not _REGISTERED.fullmatch(name) or ".." in name:
        raise SharingError(
            f"place=mlflow://{_shown(path)}: expected the name of a model: letters, digits, spaces, - . _ (no .., at "
            "most 200): write it so"
        )
    if cut and (marked or not _VERSION.fullmatch(version)):
        raise SharingError(
            f"place=mlflow://{name}/{_shown(version)}: expected the number of a version behind / or an alias behind @: "
            "write it so"
        )
    if marked and not _ALIAS.fullmatch(alias):
        raise SharingError(
            f"place=mlflow://{name}@{_shown(alias)}: expected an alias behind @, of letters, digits, - _: write it so"
        )
    if marked and _RESERVED_ALIAS.fullmatch(alias):
        raise SharingError(
            f"place=mlflow://{name}@{alias}: MLflow keeps this alias for itself: choose another, such as champion; a "
            f"version is pulled as mlflow://{name}/3, the latest one as mlflow://{name}"
        )
    return RegisteredPlace(name, alias or None, int(version) if cut else None)


def _shown(text: str) -> str:
    """What was written, without a login in it."""
    return one_line(text.rpartition("@")[2], 60)
