"""The verbs that use a model: eval, report, predict, embed."""

import sys
from pathlib import Path
from typing import Any


def evaluate(settings: Any) -> int:
    """`lookalike eval`."""
    from lookalike.evaluation.assessment import assess

    assessment = assess(settings)
    print(assessment.identification)
    rules = [settings.rerank if settings.rerank != "none" else "", settings.similarity.replace("cosine", "")]
    rules.append("" if settings.camera_rule else "all_cameras")
    name = "-".join([assessment.name, settings.split, *filter(None, rules)])
    written = assessment.write(Path(settings.output or f"reports/{name}.json"), settings.worst)
    for file in written:
        print(f"written: {file}")
    if settings.logger:
        from lookalike.settings.check import flat
        from lookalike.training.trackers import Tracker

        identification = assessment.identification
        counts = {f"count/{name}": float(value) for name, value in identification.result.counts.items()}
        ends = {
            f"{name}_{end}": pair[place]
            for name, pair in identification.intervals.items()
            for place, end in enumerate(("low", "high"))
        }
        figures = {**identification.metrics, **ends, **counts}
        tracker = Tracker(name, settings.logger, None)
        tracker.settings(
            {**flat(settings.model_dump(exclude={"logger", "model", "pixels", "data"})), **assessment.about}
        )
        tracker.result({f"{settings.split}/{name}": value for name, value in figures.items()}, written)
        tracker.close("success")
        print(f"logged: {', '.join(settings.logger)} as {name}")
    return 0


def report(settings: Any) -> int:
    """`lookalike report`."""
    from lookalike.files import write_bytes
    from lookalike.reports.model_page import page, sentence
    from lookalike.reports.model_report import gather

    options = settings.model_dump(include={"split", "camera_rule", "umap", "device", "precision"})
    found = gather(Path(settings.bundle), settings.data.model_dump(), **options)
    output = Path(settings.output or f"reports/{found.bundle.path.resolve().name}-{settings.split}.html")
    write_bytes(output, page(found))
    print(sentence(found))
    print(f"written: {output} ({output.stat().st_size / 2**20:.1f} MiB)")
    return 0


def predict(settings: Any) -> int:
    """`lookalike predict`."""
    from lookalike.inference.predict import find_queries

    return predict_files(settings, find_queries(settings.image))


def predict_files(settings: Any, files: list[Path]) -> int:
    """`lookalike predict` for files that are chosen already."""
    from dataclasses import replace

    from lookalike.console import progress
    from lookalike.inference import predict as prediction_of
    from lookalike.inference.bundle import load_bundle
    from lookalike.inference.encoder import load_encoder

    bundle = load_bundle(Path(settings.bundle))
    gallery = bundle.gallery
    if settings.gallery_root:
        gallery = replace(gallery, root=Path(settings.gallery_root))
    with progress("embedding", len(files)) as advance:
        prediction = prediction_of.predict(
            bundle,
            load_encoder(bundle, settings.device, settings.precision),
            files,
            settings.k,
            gallery=gallery,
            threshold=bundle.threshold(settings.false_accept_rate),
            progress=advance,
        )
    written = prediction.write(Path(settings.output))
    for item in prediction.items:
        names = ", ".join(neighbour.label for neighbour in item.neighbours)
        verdict = f"{item.label} ({item.score:.0%})" if item.score is not None else f"{item.label}"
        print(item.error if item.error else f"{item.image}: {verdict}  [{names}]")
    if prediction.threshold is not None:
        print(f"unknown: nearest known image not above a similarity of {prediction.threshold:.3f}")
    known = [item for item in prediction.items if item.truth]
    if known:
        right = sum(item.label == item.truth for item in known)
        print(f"{right} of {len(known)} right, taking the name of the folder as the label")
    print(f"written: {written}")
    drawn = [item for item in prediction.items if not item.error][: settings.picture_rows]
    if drawn:
        picture = _draw(drawn, written.with_suffix(".png"))
        more = len(prediction.items) - len(prediction.failed) - len(drawn)
        print(
            f"written: {picture}"
            + (f" (the first {len(drawn)}; picture_rows={len(drawn) + more} draws all)" if more else "")
        )
    return 1 if prediction.failed else 0


def _draw(items: Any, file: Path) -> Path:
    """Draws the items of a prediction."""
    from lookalike.files import atomic_file
    from lookalike.inference.picture import Cell, draw_rows

    rows = []
    for item in items:
        verdict = None if item.truth is None else item.label == item.truth
        votes = "too far from all"
        if item.score is not None:
            votes = f"{round(item.score * len(item.neighbours))} of {len(item.neighbours)} neighbours"
        note = f"is {item.truth}" if verdict is False else votes
        cells = [Cell(Path(item.image), f"query: {item.label}", note, verdict)]
        for near in item.neighbours:
            same = None if item.truth is None else near.label == item.truth
            cells.append(Cell(Path(near.path), near.label, f"{near.rank}.  similarity {near.similarity:.3f}", same))
        rows.append(cells)
    with atomic_file(file) as handle:
        draw_rows(rows).save(handle, format="PNG")
    return file


def embed(settings: Any) -> int:
    """`lookalike embed`."""
    from lookalike.evaluation.stored import embed_any
    from lookalike.inference.bundle import load_bundle
    from lookalike.inference.encoder import load_encoder

    bundle = load_bundle(Path(settings.bundle))
    gallery, failures = embed_any(
        load_encoder(bundle, settings.device, settings.precision), settings.data.model_dump(), Path(settings.output)
    )
    size = gallery.embeddings.shape[1]
    print(
        f"{len(gallery)} embeddings of {size} dimensions in {settings.output}: embeddings.npy, rows.csv, gallery.json"
    )
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0
