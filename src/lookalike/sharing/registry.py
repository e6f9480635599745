"""Bundles as versions of a model in MLflow's registry. Nothing of MLflow's own state in this process is changed."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from lookalike import __version__
from lookalike.errors import LookalikeError, one_line
from lookalike.files import DiskFullError
from lookalike.inference.bundle import Bundle
from lookalike.settings.paths import address_at_home, without_login
from lookalike.sharing.places import RegisteredPlace, SharingError
from lookalike.sharing.pyfunc import MODULE, signature
from lookalike.training.mlflow_database import ready_database
from lookalike.training.mlflow_server import VARIABLES, address, need_answer, quiet_mlflow, ready_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MODEL = "model"  # folder of a run's files
_PLACE = re.compile(r"data/[\w-]+")  # of the bundle in it
_LARGEST_DESCRIPTION = 1 << 20  # bytes of MLmodel
_PAGE = 200
_FILE = "sqlite:///"
_FULL = re.compile(r"\[Errno (?:27|28|122)\]")  # MLflow puts what a disk says into a text of its own


def uri_of(given: str | None) -> str:
    """The store that is meant.

    Args:
        given: The setting; None for MLflow's own variable, else the file that training logs into.

    Raises:
        PathError: A path in it leads nowhere.
        SharingError: It is a path alone, which MLflow takes for a store of files that is no more.
    """
    if given and "://" not in given and ":/" not in given:
        raise SharingError(f"uri={given}: expected an address: write uri={_FILE}{given}, or http://<server>:<port>")
    defaults = {name: default for name, (default, _) in VARIABLES.items()}
    return address(defaults | ({"uri": address_at_home(given)} if given else {}))["uri"]


def push_to_registry(bundle: Bundle, place: RegisteredPlace, uri: str, tags: dict[str, str]) -> int:
    """Stores a bundle as a new version.

    Args:
        bundle: Prepared: what is stored.
        place: Name and, if any, alias.
        uri: Of the store.
        tags: Of the version.

    Returns:
        The version.

    Raises:
        SharingError: The store cannot be reached, or refuses; a version is given.
    """
    if place.version is not None:
        raise SharingError(f"place={place}: MLflow numbers versions itself: leave out /{place.version}")
    with _asking(place, uri) as client, TemporaryDirectory() as scratch:
        import mlflow

        stored = Path(scratch, _MODEL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no example of an input
            mlflow.pyfunc.save_model(
                stored,
                loader_module=MODULE,
                data_path=str(bundle.path),
                signature=signature(),
                pip_requirements=[f"lookalike=={__version__}"],
            )
        name = address({key: default for key, (default, _) in VARIABLES.items()})["experiment"]
        ready_experiment(client, name)
        experiment = client.get_experiment_by_name(name)
        assert experiment is not None, "made a line above"
        run = client.create_run(
            experiment.experiment_id, run_name=f"push {place.name}", tags={"lookalike.push": place.name}
        )
        identity = run.info.run_id
        try:
            client.log_artifacts(identity, str(stored), _MODEL)
            _ready_model(client, place.name)
            version = client.create_model_version(
                place.name, f"{run.info.artifact_uri}/{_MODEL}", run_id=identity, tags=tags
            )
            if place.alias:
                client.set_registered_model_alias(place.name, place.alias, version.version)
        except BaseException:
            client.set_terminated(identity, "FAILED")
            raise
        client.set_terminated(identity, "FINISHED")
        return int(version.version)


def pull_from_registry(place: RegisteredPlace, uri: str, folder: Path) -> int:
    """Fetches the bundle of a version that `push_to_registry` stored.

    Args:
        place: Name, and alias or version; neither for the latest.
        uri: Of the store.
        folder: Empty.

    Returns:
        The version.

    Raises:
        SharingError: The store cannot be reached, has no such version, or another program wrote it.
    """
    if uri.startswith(_FILE) and not Path(uri[len(_FILE) :].partition("?")[0]).is_file():
        raise SharingError(f"{place}: {uri}: no such file, so nothing is stored there: look at uri=, or push first")
    with _asking(place, uri) as client:
        version = _version_of(client, place)
        source = str(client.get_model_version_download_uri(place.name, str(version)))
        with TemporaryDirectory(dir=folder.parent) as scratch:
            data = _data_of(_fetched(f"{source}/MLmodel", uri, scratch), f"{place} (version {version})")
            fetched = _fetched(f"{source}/{data}", uri, scratch)
            for part in fetched.iterdir():
                part.rename(folder / part.name)
        return version


def _fetched(source: str, uri: str, folder: str) -> Path:
    from mlflow.artifacts import download_artifacts

    return Path(download_artifacts(artifact_uri=source, tracking_uri=uri, dst_path=folder))


def _data_of(description: Path, shown: str) -> str:
    """Where the bundle lies beside MLmodel; nothing that another program wrote is loaded, or even fetched."""
    flavour: dict[str, Any] = {}
    if description.stat().st_size <= _LARGEST_DESCRIPTION:
        content = yaml.safe_load(description.read_text(encoding="utf-8"))
        flavour = (content.get("flavors") or {}).get("python_function") or {} if isinstance(content, dict) else {}
    data = str(flavour.get("data") or "")
    if flavour.get("loader_module") != MODULE or not _PLACE.fullmatch(data):
        loader = one_line(flavour.get("loader_module"), 60)
        raise SharingError(
            f"{shown}: expected what lookalike push stored, found a model of another program (loader {loader}): give a "
            "version that push stored; others are not loaded, as that would run their code"
        )
    return data


def _version_of(client: "MlflowClient", place: RegisteredPlace) -> int:
    if place.version is not None:
        return int(client.get_model_version(place.name, str(place.version)).version)
    if place.alias is not None:
        return int(client.get_model_version_by_alias(place.name, place.alias).version)
    latest, token = 0, None
    while True:
        page = client.search_model_versions(f"name='{place.name}'", max_results=_PAGE, page_token=token)
        latest = max([latest, *(int(version.version) for version in page)])
        token = page.token
        if not token:
            break
    if not latest:
        raise SharingError(f"{place}: no version of it is stored: lookalike push place={place} stores one")
    return latest


def _ready_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextmanager
def _asking(place: RegisteredPlace, uri: str) -> Iterator["MlflowClient"]:
    """MLflow's client of a store; what it refuses becomes one line without a login."""
    quiet_mlflow()
    shown = without_login(uri)
    try:
        need_answer(uri)
        ready_database(uri)
        before = dict(os.environ)
        from mlflow import MlflowClient

        try:
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        finally:
            for name in (
                "MLFLOW_TRACKING_URI",
                "MLFLOW_REGISTRY_URI",
                "MLFLOW_EXPERIMENT_NAME",
                "MLFLOW_EXPERIMENT_ID",
            ):
                if name in before:
                    os.environ[name] = before[name]
                else:
                    os.environ.pop(name, None)
    except (LookalikeError, DiskFullError):
        raise
    except Exception as error:
        # MLflow passes on whatever its store raises: SQLAlchemy, HTTP, its own types.
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            raise  # of this machine's disk
        if _FULL.search(str(error)):
            raise SharingError(
                f"{place}: no room on this disk for its files: make room, or give another output"
            ) from error
        reason = one_line(without_login(str(error).partition("\n")[0]) or type(error).__name__, 200)
        raise SharingError(
            f"{place}: {shown}: {reason}: look at uri= and MLFLOW_TRACKING_URI, and at the name"
        ) from error
