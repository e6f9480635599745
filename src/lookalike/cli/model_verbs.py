"""The verbs that use a model: eval, report; and the model of a verb, for others."""

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.cli.inputs import inputs_of
from lookalike.cli.stored_verb import evaluate_embeddings
from lookalike.errors import LookalikeError
from lookalike.settings.paths import is_server
from lookalike.terminal import give, show, show_each, show_written

if TYPE_CHECKING:
    from lookalike.evaluation.assessment import Assessment
    from lookalike.gallery.gallery import Gallery
    from lookalike.model import Model
    from lookalike.settings.gallery import GalleryAdd, GalleryCreate, GallerySuggest
    from lookalike.settings.verbs import EmbedCommand, EvalCommand, PredictCommand, ReportCommand

    _WithBundle = (
        EmbedCommand | EvalCommand | GalleryAdd | GalleryCreate | GallerySuggest | PredictCommand | ReportCommand
    )


_RULES = {"camera_rule", "similarity", "rerank", "pool", "camera_rule_seconds", "elsewhere_seconds"}


class AssessError(LookalikeError):
    """It is not clear which model is meant, or how it is to run."""


def evaluate(settings: "EvalCommand") -> int:
    """`lookalike eval`."""
    from lookalike.data.dataset import Dataset
    from lookalike.evaluation.assessment import files_of
    from lookalike.outputs import need_files, own_name

    if settings.queries is not None or settings.references is not None:
        return evaluate_embeddings(settings)
    if settings.gallery is not None:
        return _evaluate_gallery(settings)
    if settings.output:
        output = Path(settings.output)
        need_files(output, files_of(output), inputs_of(settings))
    model = _model_to_measure(settings)
    kept = [settings.rerank if settings.rerank != "none" else "", settings.similarity.replace("cosine", "")]
    kept += ["" if settings.camera_rule else "all_cameras", settings.pool or ""]
    limits = {"camera": settings.camera_rule_seconds, "elsewhere": settings.elsewhere_seconds}
    kept += [f"{name}_{seconds:g}s" for name, seconds in limits.items() if seconds is not None]
    name = "-".join([model.name, settings.split, *filter(None, kept)])
    source, apart = _source(settings, settings.bundle or str(settings.ckpt_path))
    if not settings.output:
        output = own_name(Path(f"reports/{name}.json"), source, apart)
        name = output.stem
        need_files(output, files_of(output), inputs_of(settings))
    data = Dataset.of_settings(settings.data, model.held_out, settings.split)
    rules = settings.model_dump(include=_RULES)
    assessment = model.evaluate(data, settings.split, **rules)
    show(assessment)
    return _told(settings, name, assessment, assessment.write(output, settings.worst, source))


def _told(settings: "EvalCommand", name: str, assessment: "Assessment", written: list[Path]) -> int:
    show_each(written)
    give(evaluation=assessment.to_dict)
    if settings.logger:
        _log(settings, name, assessment, written)
    return 0


def _evaluate_gallery(settings: "EvalCommand") -> int:
    """How well a gallery names the images of a data set, or of a folder."""
    from lookalike.evaluation.assessment import files_of
    from lookalike.evaluation.identify import Rules
    from lookalike.gallery.measuring import ALL, measure, of_enrolled
    from lookalike.gallery.stores import name_of, shown_place
    from lookalike.outputs import need_files, need_folder, own_name

    assert settings.gallery is not None
    if settings.ckpt_path is not None:
        raise AssessError("gallery and ckpt_path: a gallery is searched by the model that made it: leave ckpt_path out")
    if settings.pool not in (None, "none"):
        raise AssessError(f"pool={settings.pool} and gallery: a gallery is searched image by image: leave pool out")
    if settings.camera_rule_seconds is not None or settings.elsewhere_seconds is not None:
        raise AssessError(
            "camera_rule_seconds or elsewhere_seconds and gallery: a gallery does not know when its images were taken: "
            "leave it out, or measure bundle=<folder> on a data set"
        )
    place = shown_place(settings.gallery, "eval")
    source, apart = _source(settings, place)
    output = Path(settings.output) if settings.output else Path("reports/...")
    if settings.output:
        need_files(output, files_of(output), inputs_of(settings))
    else:
        need_folder(output.parent, {})
    rules = Rules(settings.camera_rule, settings.similarity, settings.rerank)
    with open_gallery(settings) as gallery:
        assessment = measure(gallery, settings.data.model_dump(), settings.split, rules)
        show(assessment)
        for line in of_enrolled(assessment):
            show(line)
        if not settings.output:  # by what asked: a split, or all of a folder without splits
            asked = apart if assessment.split == ALL else assessment.split
            output = own_name(Path(f"reports/{name_of(place)}-{asked}.json"), source, apart)
            need_files(output, files_of(output), inputs_of(settings))
        return _told(settings, output.stem, assessment, assessment.write(output, settings.worst, source))


def load_model(settings: "_WithBundle") -> "Model":
    """The bundle of a verb, on its device."""
    from lookalike.model import Model

    assert settings.bundle is not None
    return Model.load(settings.bundle, device=settings.device, precision=settings.precision, workers=settings.workers)


def _model_to_measure(settings: "EvalCommand") -> "Model":
    from lookalike.model import Model

    if settings.bundle is not None and settings.ckpt_path is None:
        return load_model(settings)
    if settings.bundle is not None or settings.ckpt_path is None:
        raise AssessError(
            "what to measure: give bundle=<folder> or ckpt_path=<Lightning checkpoint>, "
            f"got {'both' if settings.bundle else 'neither'}"
        )
    if settings.precision == "bf16":
        raise AssessError("precision=bf16: a checkpoint is measured in float32: leave it out, or give bundle=<folder>")
    return Model.from_checkpoint(
        settings.ckpt_path,
        model=settings.model.model_dump() if settings.model else {},
        pixels=settings.pixels.model_dump() if settings.pixels else {},
        allow_partial=settings.allow_partial,
        ckpt_key=settings.ckpt_key,
        device=settings.device,
        workers=settings.workers,
    )


def model_to_embed(settings: "EmbedCommand | GalleryCreate") -> "Model":
    """A bundle, or a network without training."""
    from lookalike.model import Model

    if settings.model is None:
        return load_model(settings)
    if settings.precision == "bf16":
        raise AssessError("precision=bf16: an untrained network runs in float32: leave it out, or give bundle=<folder>")
    return Model.pretrained(
        "timm",
        model=settings.model.model_dump(),
        pixels=settings.pixels.model_dump() if settings.pixels else None,
        device=settings.device,
        workers=settings.workers,
    )


def _source(settings: "EvalCommand | ReportCommand", model: str | Path) -> tuple[str, str]:
    """The model and the data that are measured, by their places, and the name of the data."""
    place = model if is_server(model) else Path(model).resolve()
    data = Path(settings.data.root or settings.data.archive or "data").resolve()
    return f"{place} on {data}", data.name if data.is_dir() else data.stem


def _log(settings: "EvalCommand", name: str, assessment: "Assessment", written: list[Path]) -> None:
    """Figures by protocol, the headline first, their intervals, counts, and the files go to the trackers."""
    from lookalike.settings.check import flat
    from lookalike.training.trackers import Tracker

    result = assessment.identification.result
    counts = {f"count/{name}": float(value) for name, value in result.counts.items()}
    metrics, intervals = assessment.identification.named_by_protocol()
    if assessment.unknown_queries and (used := assessment.unknown_queries.in_use):
        metrics["balanced_accuracy"] = used.acceptance.balanced_accuracy
        intervals["balanced_accuracy"] = used.acceptance.balanced_interval
    metrics |= assessment.standard.named() if assessment.standard else {}
    tracker = Tracker(name, settings.logger, None)
    tracker.settings({**flat(settings.model_dump(exclude={"logger", "model", "pixels", "data"})), **assessment.about})
    figures = {f"{settings.split}/{name}": value for name, value in {**metrics, **counts}.items()}
    tracker.result(figures, written, {f"{settings.split}/{name}": pair for name, pair in intervals.items()})
    tracker.close("success")
    show(f"logged: {', '.join(settings.logger)} as {name}")


def report(settings: "ReportCommand") -> int:
    """`lookalike report`."""
    from lookalike.data.dataset import Dataset
    from lookalike.outputs import need_files, need_folder, own_name
    from lookalike.reports.model_files import folder_of, write_report
    from lookalike.reports.model_page import sentence
    from lookalike.reports.model_report import gather

    source, apart = _source(settings, settings.bundle)
    usual = Path(f"reports/{Path(settings.bundle).resolve().name}-{settings.split}.html")
    output = Path(settings.output) if settings.output else own_name(usual, source, apart)
    need_files(output, (), inputs_of(settings))
    need_folder(folder_of(output), inputs_of(settings))
    model = load_model(settings)
    assert model.bundle is not None
    data = Dataset.of_settings(settings.data, model.held_out, settings.split)
    assessment = model.evaluate(data, settings.split, camera_rule=settings.camera_rule)
    gathered = gather(assessment, model.bundle, settings.umap)
    files = write_report(gathered, output, source)
    if assessment.stranger:
        show(assessment.stranger)
    show(sentence(gathered))
    if gathered.unknown_queries:
        show(gathered.unknown_queries)
    give(evaluation=assessment.to_dict)
    show_written(output, note=f" ({output.stat().st_size / 2**20:.1f} MiB)")
    show_written(folder_of(output), note=f": {len(files)} files: tables as CSV and LaTeX, figures as SVG, methods.txt")
    return 0


def open_gallery(settings: "EvalCommand | GalleryAdd | GallerySuggest | PredictCommand") -> "Gallery":
    """The gallery of a verb, with the bundle that is given or its own model, on the device of the verb."""
    from lookalike.gallery.gallery import Gallery

    assert settings.gallery is not None
    options = {"device": settings.device, "precision": settings.precision, "workers": settings.workers}
    return Gallery.open(settings.gallery, load_model(settings) if settings.bundle else None, options)
