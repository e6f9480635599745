"""Push a bundle, pull a bundle: what the command and Python have in common."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lookalike.console import say
from lookalike.errors import needing
from lookalike.files import atomic_folder
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.settings.paths import path_of
from lookalike.sharing.places import HubPlace, Place, RegisteredPlace, SharingError, place_of


@dataclass(frozen=True)
class Pushed:
    """What was sent.

    Attributes:
        place: Where it is: what `pull` takes for just this state.
        fingerprint: Of weights and pixel settings, 64 hex digits.
        files: How many.
        bytes: Of all.
    """

    place: str
    fingerprint: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Pulled:
    """What was fetched.

    Attributes:
        place: Of just this state.
        bundle: Verified, where it was written.
        kept: What stood there before, under its new name; None where nothing did.
    """

    place: str
    bundle: Bundle
    kept: Path | None


def push(
    bundle: str | Path,
    place: str,
    *,
    data_license: str | None = None,
    license: str | None = None,
    data_name: str | None = None,
    private: bool = False,
    uri: str | None = None,
) -> Pushed:
    """Sends a bundle to the Hugging Face Hub or into MLflow's registry.

    Args:
        bundle: Its folder.
        place: `hf://<owner>/<name>[@<branch>]` or `mlflow://<name>[@<alias>]`.
        data_license: Of the photographs it learnt from, such as `cc-by-4.0`; has to be given.
        license: Of the model; None for the same.
        data_name: Of the photographs; None for the name of their folder.
        private: Of a repository of the Hub that is made now.
        uri: MLflow's store; None for MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.

    Raises:
        BundleError: There is no whole bundle.
        SharingError: No licence is given, the place is none, cannot be reached, or refuses.
        LookalikeError: A package is missing: extra `hub`.
    """
    where = place_of(place)
    _need_of_place(where, private, uri)
    if not data_license:
        raise SharingError(
            "data_license: expected the licence of the photographs it learnt from, found none: give data_license=<such "
            "as cc-by-4.0, mit, or words>, as it binds whoever takes the model"
        )
    source = load_bundle(path_of(bundle, "push"))
    with needing("hub", f"push to {where}"), TemporaryDirectory() as scratch:
        from lookalike.sharing.card import hub_card, licences_of
        from lookalike.sharing.prepared import prepare

        licences = licences_of(source, data_license, license, data_name)
        sent = prepare(source, Path(scratch, "bundle"), hub_card(source, where.name, licences))
        files = [file for file in sent.path.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        say(f"{where}: sending {len(files)} files, {size / 1e6:.1f} MB, with names of {len(source.references)} images")
        if isinstance(where, HubPlace):
            from lookalike.sharing.huggingface import push_to_hub

            commit = push_to_hub(sent.path, where, private, f"lookalike bundle {source.fingerprint[:12]}")
            exact = f"hf://{where.repository}@{commit}"
        else:
            from lookalike.sharing.registry import push_to_registry, uri_of

            tags = {"fingerprint": source.fingerprint, "data_license": licences.data, "license": licences.model}
            exact = f"mlflow://{where.name}/{push_to_registry(sent, where, uri_of(uri), tags)}"
    return Pushed(exact, source.fingerprint, len(files), size)


def _need_of_place(place: Place, private: bool, uri: str | None) -> None:
    """Refuses what says nothing of this place."""
    if isinstance(place, HubPlace) and uri is not None:
        raise SharingError(f"{place}: uri= is the store of mlflow:// places: leave it out, or set HF_ENDPOINT")
    if isinstance(place, RegisteredPlace) and private:
        raise SharingError(
            f"{place}: private= is of repositories of the Hub: leave it out; MLflow's store has rights of its own"
        )


def pull(place: str, output: str | Path | None = None, *, uri: str | None = None) -> Pulled:
    """Fetches a bundle, verifies it, and only then puts it where it is wanted.

    Args:
        place: `hf://<owner>/<name>[@<branch, tag or commit>]`, `mlflow://<name>[@<alias>]` or
            `mlflow://<name>/<version>`.
        output: The new folder; what stands there is kept under a dated name. None for `models/<name>`.
        uri: As for `push`.

    Raises:
        BundleError: What lies there is no bundle, or damaged.
        SharingError: The place is none, cannot be reached, or refuses.
        DiskFullError: There is no room; nothing is left behind.
        LookalikeError: A package is missing: extra `hub`.
    """
    where = place_of(place)
    _need_of_place(where, False, uri)
    folder = Path("models", where.name) if output is None else path_of(output, "pull")
    kept: list[Path] = []
    with needing("hub", f"pull from {where}"), atomic_folder(folder, kept=kept) as fetched:
        if isinstance(where, HubPlace):
            from lookalike.sharing.huggingface import pull_from_hub

            exact = f"hf://{where.repository}@{pull_from_hub(where, fetched)}"
        else:
            from lookalike.sharing.registry import pull_from_registry, uri_of

            exact = f"mlflow://{where.name}/{pull_from_registry(where, uri_of(uri), fetched)}"
        _ = load_bundle(fetched).references  # nothing damaged or foreign takes the place of what stands there
    return Pulled(exact, load_bundle(folder), kept[0] if kept else None)
