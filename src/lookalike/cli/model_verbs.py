"""The verbs that use a model: eval, report, predict, embed."""

from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from lookalike.cli.inputs import inputs_of
from lookalike.cli.predict_notes import need_limit, tell_of_small_labels, tell_predictions
from lookalike.errors import LookalikeError
from lookalike.terminal import counted, show

if TYPE_CHECKING:
    from lookalike.evaluation.assessment import Assessment
    from lookalike.gallery.gallery import Gallery
    from lookalike.inference.image_table import ImageTable
    from lookalike.inference.predict import Predictions
    from lookalike.model import Model
    from lookalike.settings.gallery import GalleryAdd, GalleryCreate, GallerySuggest
    from lookalike.settings.verbs import EmbedCommand, EvalCommand, PredictCommand, ReportCommand

    _WithBundle = (
        EmbedCommand | EvalCommand | GalleryAdd | GalleryCreate | GallerySuggest | PredictCommand | ReportCommand
    )


class AssessError(LookalikeError):
    """It is not clear which model is meant, or how it is to run."""


def evaluate(settings: "EvalCommand") -> int:
    """`lookalike eval`."""
    from lookalike.data.dataset import Dataset
    from lookalike.evaluation.assessment import files_of
    from lookalike.outputs import need_files, own_name

    if settings.gallery is not None:
        return _evaluate_gallery(settings)
    if settings.output:
        output = Path(settings.output)
        need_files(output, files_of(output), inputs_of(settings))
    model = _model_to_measure(settings)
    kept = [settings.rerank if settings.rerank != "none" else "", settings.similarity.replace("cosine", "")]
    kept.append("" if settings.camera_rule else "all_cameras")
    name = "-".join([model.name, settings.split, *filter(None, kept)])
    source, apart = _source(settings, settings.bundle or str(settings.ckpt_path))
    if not settings.output:
        output = own_name(Path(f"reports/{name}.json"), source, apart)
        name = output.stem
        need_files(output, files_of(output), inputs_of(settings))
    data = Dataset.of_settings(settings.data, model.held_out, settings.split)
    rules = settings.model_dump(include={"camera_rule", "similarity", "rerank"})
    assessment = model.evaluate(data, settings.split, **rules)
    show(assessment)
    return _told(settings, name, assessment, assessment.write(output, settings.worst, source))


def _told(settings: "EvalCommand", name: str, assessment: "Assessment", written: list[Path]) -> int:
    for file in written:
        show(f"written: {file}")
    if settings.logger:
        _log(settings, name, assessment, written)
    return 0


def _evaluate_gallery(settings: "EvalCommand") -> int:
    """How well a gallery names the images of a data set, or of a folder."""
    from lookalike.evaluation.assessment import files_of
    from lookalike.evaluation.identify import Rules
    from lookalike.gallery.measuring import measure
    from lookalike.outputs import need_files, own_name

    assert settings.gallery is not None
    if settings.ckpt_path is not None:
        raise AssessError("gallery and ckpt_path: a gallery is searched by the model that made it: leave ckpt_path out")
    source, apart = _source(settings, settings.gallery)
    usual = Path(f"reports/{Path(settings.gallery).resolve().name}-{settings.split}.json")
    output = Path(settings.output) if settings.output else own_name(usual, source, apart)
    need_files(output, files_of(output), inputs_of(settings))
    rules = Rules(settings.camera_rule, settings.similarity, settings.rerank)
    with open_gallery(settings) as gallery:
        assessment = measure(gallery, settings.data.model_dump(), settings.split, rules)
        show(assessment)
        return _told(settings, output.stem, assessment, assessment.write(output, settings.worst, source))


def _load_model(settings: "_WithBundle") -> "Model":
    """The bundle of a verb, on its device."""
    from lookalike.model import Model

    assert settings.bundle is not None
    return Model.load(settings.bundle, device=settings.device, precision=settings.precision, workers=settings.workers)


def _model_to_measure(settings: "EvalCommand") -> "Model":
    from lookalike.model import Model

    if settings.bundle is not None and settings.ckpt_path is None:
        return _load_model(settings)
    if settings.bundle is not None or settings.ckpt_path is None:
        raise AssessError(
            "what to measure: give bundle=<folder> or ckpt_path=<Lightning checkpoint>, "
            f"got {'both' if settings.bundle else 'neither'}"
        )
    if settings.precision == "bf16":
        raise AssessError("precision=bf16: a checkpoint is measured in float32: leave it out, or give bundle=<folder>")
    return Model.from_checkpoint(
        settings.ckpt_path,
        model=settings.model.model_dump(),
        pixels=settings.pixels.model_dump(),
        allow_partial=settings.allow_partial,
        ckpt_key=settings.ckpt_key,
        device=settings.device,
        workers=settings.workers,
    )


def model_to_embed(settings: "EmbedCommand | GalleryCreate") -> "Model":
    """A bundle, or a network without training."""
    from lookalike.model import Model

    if settings.model is None:
        return _load_model(settings)
    if settings.precision == "bf16":
        raise AssessError("precision=bf16: an untrained network runs in float32: leave it out, or give bundle=<folder>")
    return Model.pretrained(
        "timm",
        model=settings.model.model_dump(),
        pixels=settings.pixels.model_dump() if settings.pixels else None,
        device=settings.device,
        workers=settings.workers,
    )


def _source(settings: "EvalCommand | ReportCommand", model: str) -> tuple[str, str]:
    """The model and the data that are measured, by their places, and the name of the data."""
    data = Path(settings.data.root or settings.data.archive or "data").resolve()
    return f"{Path(model).resolve()} on {data}", data.name if data.is_dir() else data.stem


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
    model = _load_model(settings)
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
    show(f"written: {output} ({output.stat().st_size / 2**20:.1f} MiB)")
    show(f"written: {folder_of(output)}: {len(files)} files: tables as CSV and LaTeX, figures as SVG, methods.txt")
    return 0


def predict(settings: "PredictCommand") -> int:
    """`lookalike predict`."""
    from lookalike.console import say
    from lookalike.data.image_files import PassedOver
    from lookalike.inference.image_table import is_table, read_image_table
    from lookalike.inference.queries import find_queries, query_base

    if is_table(settings.image):
        table = read_image_table(Path(settings.image))
        return predict_files(settings, table.files, table=table)
    passed = PassedOver()
    files = find_queries(settings.image, passed, Path(settings.output))
    for note in passed.notes:
        say(f"image={settings.image}: {note}")
    return predict_files(settings, files, query_base(settings.image)) or (1 if passed.lost else 0)


def predict_files(
    settings: "PredictCommand", files: list[Path], base: Path | None = None, table: "ImageTable | None" = None
) -> int:
    """`lookalike predict` for files that are chosen already, those of a table or others."""
    from lookalike.console import say
    from lookalike.inference.image_table import write_results, writes_table
    from lookalike.inference.rightness import by_folders, by_table, with_truths
    from lookalike.outputs import need_files, need_folder

    output = Path(settings.output)
    if tabular := writes_table(settings.output):
        need_files(output, (), inputs_of(settings))
    else:
        need_folder(output, inputs_of(settings))
    if table and table.nested and output.suffix.lower() == ".csv":
        say(f"{output}: CSV holds no lists or records, left out: {', '.join(table.nested)}: .parquet keeps them")
    ask = _by_bundle if settings.gallery is None else _by_gallery
    predictions, labels = ask(settings, files, base, table)
    truths = table.truths if table else None
    items = predictions.items if truths is None else with_truths(predictions.items, truths, labels)
    rightness = by_folders(items, base) if truths is None else by_table(items, truths)
    predictions = replace(predictions, items=table.with_problems(items) if table else items)
    if tabular:
        write_results(predictions.items, output, table)
        tell_predictions(predictions, labels, rightness, lines=False)
        show(f"written: {output} ({counted(len(predictions), 'row')})")
    else:
        written = predictions.write(output)
        tell_predictions(predictions, labels, rightness)
        show(f"written: {written}")
        _draw(predictions, written.with_suffix(".png"), settings.picture_rows)
    if settings.keep_unknown:
        from lookalike.gallery.gallery import Gallery

        with Gallery.open(str(settings.gallery)) as gallery:  # its model is not needed for that
            kept = gallery.keep_unknown(predictions)
        what = counted(len(kept), "unknown image")
        show(f"{what} kept for lookalike gallery suggest gallery={quote(str(settings.gallery))}")
    return 1 if predictions.failed else 0


def _by_bundle(
    settings: "PredictCommand", files: list[Path], base: Path | None, table: "ImageTable | None"
) -> tuple["Predictions", list[str]]:
    """By the images that a bundle knows; and their labels."""
    from lookalike.console import progress, say
    from lookalike.data.labels import alike_note
    from lookalike.inference import predict as prediction

    if settings.bundle is None:
        raise AssessError("what predicts: give bundle=<folder> or gallery=<folder>, got neither")
    for name in ("where", "unless", "keep_unknown"):
        if getattr(settings, name):
            raise AssessError(f"{name}: is of a gallery, and a bundle has none: give gallery=<folder>, or leave it out")
    model = _load_model(settings)
    references = model.references
    assert model.bundle is not None
    rejection = model.bundle.rejection(settings.threshold, settings.false_accept_rate)
    if settings.gallery_root:
        references = replace(references, root=Path(settings.gallery_root))
    for note in alike_note(references.labels):
        say(f"{settings.bundle}: {note}")
    tell_of_small_labels(settings.k, references.labels)
    with progress("embedding", len(files)) as advance:
        predictions = prediction.predict(
            model.encoder,
            references,
            files,
            settings.k,
            source=str(model.bundle.path),
            vote_by=model.bundle.config.vote,
            rejection=rejection,
            progress=advance,
            base=base,
            boxes=table.boxes if table else None,
        )
    return predictions, references.labels


def _by_gallery(
    settings: "PredictCommand", files: list[Path], base: Path | None, table: "ImageTable | None"
) -> tuple["Predictions", list[str]]:
    """By the images of a gallery; and their labels."""
    from lookalike.console import progress

    if settings.gallery_root:
        raise AssessError("gallery_root: is of a bundle, and a gallery has pictures of its own: leave it out")
    need_limit(settings)
    threshold = None if settings.threshold == "off" else settings.threshold
    rate = None if settings.false_accept_rate == "off" else settings.false_accept_rate
    with open_gallery(settings) as gallery, progress("embedding", len(files)) as advance:
        labels = gallery.references.labels
        tell_of_small_labels(settings.k, labels, all_vote=True)
        predictions = gallery.predict_images(
            files,
            settings.k,
            threshold=threshold,
            false_accept_rate=rate,
            where=settings.where,
            unless=settings.unless,
            boxes=table.boxes if table else None,
            base=base,
            progress=advance,
        )
    return predictions, labels


def open_gallery(settings: "EvalCommand | GalleryAdd | GallerySuggest | PredictCommand") -> "Gallery":
    """The gallery of a verb, with the bundle that is given or its own model, on the device of the verb."""
    from lookalike.gallery.gallery import Gallery

    assert settings.gallery is not None
    options = {"device": settings.device, "precision": settings.precision, "workers": settings.workers}
    return Gallery.open(settings.gallery, _load_model(settings) if settings.bundle else None, options)


def _draw(predictions: "Predictions", picture: Path, rows: int) -> None:
    """Writes the picture of those that could be used; says what to do where the gallery's images are not there."""
    from lookalike.console import say
    from lookalike.inference import predict as prediction

    usable = [item for item in predictions if not item.error]
    drawn = usable[:rows]
    if not drawn:
        return
    near = {neighbour.path for item in drawn for neighbour in item.neighbours if not neighbour.thumbnail}
    gone = sorted(path for path in near if not Path(path).exists())
    if gone:
        say(
            f"{len(gone)} of the {len(near)} known images in the picture are not there (first: {gone[0]}): if they "
            "moved, give gallery_root=<the folder that they are below now>"
        )
    prediction.draw(drawn, picture)
    more = f" (the first {len(drawn)}; picture_rows={len(usable)} draws all)" if len(usable) > len(drawn) else ""
    show(f"written: {picture}{more}")


def embed(settings: "EmbedCommand") -> int:
    """`lookalike embed`."""
    from lookalike.console import say
    from lookalike.evaluation.stored import embed_any
    from lookalike.outputs import need_folder

    if settings.bundle is None and settings.model is None:
        raise AssessError(
            "what embeds: give bundle=<folder>, or model=<recipe> for a network without training, such as "
            "model=efficientnet_lite2; got neither"
        )
    need_folder(Path(settings.output), inputs_of(settings), replaced=True)
    model = model_to_embed(settings)
    stored, failures = embed_any(model.encoder, settings.data.model_dump(), Path(settings.output))
    size = stored.embeddings.shape[1]
    show(f"{len(stored)} embeddings of {size} dimensions in {settings.output}: embeddings.npy, rows.csv, gallery.json")
    for failure in failures:
        say(str(failure))
    return 1 if failures else 0
