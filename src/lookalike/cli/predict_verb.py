"""The verb predict."""

import os
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from lookalike.cli.inputs import inputs_of
from lookalike.cli.model_verbs import AssessError, load_model, open_gallery
from lookalike.cli.predict_notes import need_limit, tell_of_small_labels, tell_predictions
from lookalike.terminal import counted, give, show, show_written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lookalike.inference.encoder import Encoder
    from lookalike.inference.explained import KnownImage
    from lookalike.inference.image_table import ImageTable
    from lookalike.inference.neighbour import Neighbour
    from lookalike.inference.predict import Predictions
    from lookalike.settings.verbs import PredictCommand


def predict(settings: "PredictCommand") -> int:
    """`lookalike predict`."""
    from lookalike.console import say
    from lookalike.data.image_files import PassedOver
    from lookalike.inference.image_table import is_table, read_image_table
    from lookalike.inference.queries import PredictError, find_queries, query_base

    if is_table(settings.image):
        if settings.boxes:
            raise PredictError(f"boxes: {settings.image} is a table, whose columns x1, y1, x2, y2 hold boxes: give one")
        table = read_image_table(Path(settings.image))
        return predict_files(settings, table.files, table=table)
    passed = PassedOver()
    files = find_queries(settings.image, passed, Path(settings.output))
    for note in passed.notes:
        say(f"image={settings.image}: {note}")
    boxed = None
    if settings.boxes:
        from lookalike.inference.object_boxes import read_boxes  # here, as readers of data sets take a while to load

        if gone := [file for file in files if not os.path.lexists(file)]:
            raise PredictError(f"{gone[0]}: no such file: give images that are there")
        boxed, notes = read_boxes(Path(settings.boxes), files)
        files = boxed.files
        for note in notes:
            say(f"boxes={settings.boxes}: {note}")
    return predict_files(settings, files, query_base(settings.image), boxed) or (1 if passed.lost else 0)


def predict_files(
    settings: "PredictCommand", files: list[Path], base: Path | None = None, table: "ImageTable | None" = None
) -> int:
    """`lookalike predict` for files that are chosen already, those of a table or others."""
    from lookalike.console import say
    from lookalike.inference.image_table import write_results, writes_table
    from lookalike.inference.queries import PredictError
    from lookalike.inference.rightness import by_folders, by_table, with_truths
    from lookalike.outputs import need_files, need_folder

    output = Path(settings.output)
    if tabular := writes_table(settings.output):
        if settings.explain:
            raise PredictError(f"explain: {output} holds no maps of regions: give a folder as output, or leave it out")
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
        show_written(output, note=f" ({counted(len(predictions), 'row')})")
    else:
        written = predictions.write(output)
        tell_predictions(predictions, labels, rightness)
        show_written(written)
        _draw(predictions, written.with_suffix(".png"), settings.picture_rows)
    give(predictions=predictions.to_dict)
    if settings.keep_unknown:
        _keep_unknown(settings, predictions)
    return 1 if predictions.failed else 0


def _keep_unknown(settings: "PredictCommand", predictions: "Predictions") -> None:
    from lookalike.gallery.gallery import Gallery

    folder = _given_folder(settings)
    with Gallery.open(str(settings.gallery)) as gallery:  # its model is not needed for that
        kept = gallery.keep_unknown(predictions, folder)
    there = "" if folder is None else f" images={quote(folder)}"
    what = counted(len(kept), "unknown image")
    show(f"{what} kept for lookalike gallery suggest gallery={quote(str(gallery.path))}{there}")


def _given_folder(settings: "PredictCommand") -> str | None:
    """Where unknown images are kept, where that is not the gallery's own folder."""
    return None if isinstance(settings.keep_unknown, bool) else settings.keep_unknown


def _by_bundle(
    settings: "PredictCommand", files: list[Path], base: Path | None, table: "ImageTable | None"
) -> tuple["Predictions", list[str]]:
    """By the images that a bundle knows; and their labels."""
    from lookalike.console import progress, say
    from lookalike.data.labels import alike_note
    from lookalike.inference import predict as prediction
    from lookalike.inference.explained import files_of

    if settings.bundle is None:
        raise AssessError("what predicts: give bundle=<folder> or gallery=<folder>, got neither")
    for name in ("where", "unless", "index", "keep_unknown"):
        if getattr(settings, name):
            raise AssessError(f"{name}: is of a gallery, and a bundle has none: give gallery=<folder>, or leave it out")
    model = load_model(settings)
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
    made_in = references.precision or model.encoder.precision
    return _explained(settings, predictions, model.encoder, files_of, made_in), references.labels


def _by_gallery(
    settings: "PredictCommand", files: list[Path], base: Path | None, table: "ImageTable | None"
) -> tuple["Predictions", list[str]]:
    """By the images of a gallery; and their labels."""
    from lookalike.console import progress, say
    from lookalike.files import need_place
    from lookalike.gallery.approximate import LEAST

    if settings.gallery_root:
        raise AssessError("gallery_root: is of a bundle, and a gallery has pictures of its own: leave it out")
    need_limit(settings)
    threshold = None if settings.threshold == "off" else settings.threshold
    rate = None if settings.false_accept_rate == "off" else settings.false_accept_rate
    with open_gallery(settings) as gallery:
        if settings.keep_unknown:
            need_place(gallery.unknown_folder(_given_folder(settings)))
        labels = gallery.references.labels
        tell_of_small_labels(settings.k, labels, all_vote=True)
        if settings.index and len(labels) >= LEAST and not (settings.where or settings.unless):
            say(f"{gallery.path}: building the index of {len(labels)} images")
            gallery.build_index(settings.index)  # this process ends with its answer, so there is no later one
        with progress("embedding", len(files)) as advance:
            predictions = gallery.predict_images(
                files,
                settings.k,
                threshold=threshold,
                false_accept_rate=rate,
                where=settings.where,
                unless=settings.unless,
                index=settings.index,
                boxes=table.boxes if table else None,
                base=base,
                progress=advance,
            )
        made_in = gallery.references.precision or gallery.encoder.precision
        return _explained(settings, predictions, gallery.encoder, gallery.known_images, made_in), labels


def _explained(
    settings: "PredictCommand",
    predictions: "Predictions",
    encoder: "Encoder",
    known_images: "Callable[[Sequence[Neighbour]], list[KnownImage]]",
    made_in: str,
) -> "Predictions":
    """With the reasons of the neighbours, where these were asked for."""
    from lookalike.console import progress
    from lookalike.inference.explained import with_reasons

    if not settings.explain:
        return predictions
    drawn = settings.picture_rows
    with progress("explaining", len(predictions)) as advance:
        return with_reasons(encoder, predictions, known_images, made_in, pictures=drawn, progress=advance)


def _draw(predictions: "Predictions", picture: Path, rows: int) -> None:
    """Writes the picture of those that could be used; says what to do where the gallery's images are not there."""
    from lookalike.console import say
    from lookalike.inference import predict as prediction

    usable = [item for item in predictions if not item.error]
    drawn = usable[:rows]
    if not drawn:
        return
    near = {neighbour.source for item in drawn for neighbour in item.neighbours if not neighbour.thumbnail}
    gone = sorted(path for path in near if not Path(path).exists())
    if gone:
        say(
            f"{len(gone)} of the {len(near)} known images in the picture are not there (first: {gone[0]}): if they "
            "moved, give gallery_root=<the folder that they are below now>"
        )
    prediction.draw(drawn, picture)
    more = f" (the first {len(drawn)}; picture_rows={len(usable)} draws all)" if len(usable) > len(drawn) else ""
    show_written(picture, note=more)
