"""`train` and `audit`: the functions that a notebook calls and two verbs are made of."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lookalike.data.dataset import Dataset, held_out_like
from lookalike.errors import LookalikeError, needing
from lookalike.inference.encoder import Encoder, WantedPrecision
from lookalike.model import Device, Model
from lookalike.settings.paths import path_of

if TYPE_CHECKING:
    from lookalike.auditing.audit import Audit


def train(data: Dataset | Mapping[str, Any] | str | Path, **settings: object) -> Model:
    """Trains a model, or continues, or finds that the run is finished; needs the extra `train`.

    Args:
        data: A data set, where it lies, or what `Dataset` takes.
        **settings: Those of `lookalike train`: `run="mine"`, groups (`loss="arcface"`, `model="resnet18"`), and
            values inside groups as `trainer={"max_epochs": 5}` or `**{"trainer.max_epochs": 5}`; paths may be `Path`.

    Returns:
        The model of the best epoch, loaded from its bundle `models/<run>/`.

    Raises:
        SettingsError: A setting is unknown or out of range.
        LookalikeError: Something in the data or an earlier session stands in the way; the extra is not installed.
    """
    from lookalike.settings.check import check, flat
    from lookalike.settings.compose import compose
    from lookalike.settings.training import Train

    given = [*((f"data.{name}", value) for name, value in _source_of(data).items()), *flat(settings).items()]
    plain = [(name, str(value) if isinstance(value, Path) else value) for name, value in given]
    checked = check(Train, compose("train", plain))
    with needing("train", "train"):
        from lookalike.training import run
    bundle, _ = run.train(checked)
    return Model.load(bundle.path)


def audit(
    data: Dataset | Mapping[str, Any] | str | Path,
    *,
    bundle: Model | str | Path | None = None,
    output: str | Path | None = None,
    device: Device = "auto",
    precision: WantedPrecision = "auto",
) -> "Audit":
    """Looks for what is wrong with a data set: files, copies, leaks between splits, labels; needs the extra `audit`.

    Args:
        data: A data set, where it lies, or what `Dataset` takes; one with problems is no error here.
        bundle: A bundle or a model loaded from one, whose embeddings are used; None for untrained efficientnet_lite0.
        output: Folder of `audit.html` and `audit.parquet`, and of what later audits need not read; None for nowhere.
        device: See `Model.load`.
        precision: See `Model.load`.

    Raises:
        ManifestError: There is no data set at all, or no image in it.
        LookalikeError: Another audit writes into `output`; an extra is not installed.
    """
    from lookalike.data.reading import survey_data
    from lookalike.export.untrained import identity, untrained_encoder
    from lookalike.files import only_one
    from lookalike.inference.bundle import load_bundle
    from lookalike.outputs import write_files

    with needing("audit", "audit"):
        from lookalike.auditing.audit import audit as look
        from lookalike.reports.audit_page import page

    if isinstance(bundle, Model):
        if bundle.bundle is None:
            raise LookalikeError(f"audit: expected a bundle or a model of one, got {bundle.name}, which has none")
        bundle = bundle.bundle.path
    source = _source_of(data)
    with ExitStack() as stack:
        if output is None:
            folder = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        else:
            folder = path_of(output, "audit: output")
            stack.enter_context(only_one(folder / ".lock", f"{folder} is being written by another audit"))
        cache = folder / ".known"
        if bundle is not None:
            trained = load_bundle(path_of(bundle, "audit: bundle"))
            source = held_out_like(source, trained.config.training.held_out)
            made_by = f"{trained.fingerprint} {device} {precision}"
        else:
            with needing("train", "audit without bundle="):
                made_by = identity()

        def load() -> Encoder:
            if bundle is not None:
                return Model.load(bundle, device=device, precision=precision).encoder
            with needing("train", "audit without bundle="):
                return untrained_encoder(cache)

        manifest, problems = survey_data(**source)
        with needing("audit", "audit"):
            result = look(manifest, problems, load, made_by, cache)
        if output is not None:
            table = result.findings.to_parquet(index=False)
            contents = {folder / "audit.parquet": table, folder / "audit.html": page(result)}
            write_files(folder / "audit.html", contents)
    return result


def _source_of(data: Dataset | Mapping[str, Any] | str | Path) -> dict[str, Any]:
    """What a data set is opened from, without opening it."""
    if isinstance(data, str | Path):
        return {"root": str(data)}
    if not isinstance(data, Dataset | Mapping):
        raise LookalikeError(
            f"data: expected a folder, a table file, a Dataset or its settings, got {type(data).__name__}: "
            "write a table to a .csv or .parquet file first"
        )
    return dict(data.source if isinstance(data, Dataset) else data)
