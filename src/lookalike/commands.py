"""What each verb does with checked settings: calls the modules, prints the result, returns the exit code.

Heavy modules are imported by the verb that needs them, so that `predict` starts without torch.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def manifest(settings: Any) -> int:
    """`lookalike manifest`."""
    from lookalike.manifest import read_data, write_table
    from lookalike.measure import broken_images

    manifest = read_data(**settings.data.model_dump())
    counts = manifest.counts()
    counts = counts.loc[:, counts.sum() > 0]
    print(counts.to_string())
    print(
        f"\n{len(manifest.labels)} training labels; "
        + ", ".join(f"{name} {total}" for name, total in counts.sum().items())
    )
    output = Path(settings.output)
    write_table(manifest, output)
    print(f"written: {output}")
    if not settings.check:
        return 0
    broken = broken_images(manifest, manifest.table)
    for problem in broken:
        print(problem, file=sys.stderr)
    return 1 if broken else 0


def audit(settings: Any) -> int:
    """`lookalike audit`."""
    from lookalike.audit import accepted, exclude
    from lookalike.audit import audit as look
    from lookalike.audit_page import page
    from lookalike.bundle import load_bundle
    from lookalike.embed import Encoder, load_encoder
    from lookalike.files import atomic_file, only_one, write_bytes
    from lookalike.manifest import survey_data
    from lookalike.measure import held_out_as_in
    from lookalike.untrained import identity, untrained_encoder

    if settings.apply is not None:
        accepted(settings.apply)  # what is wrong with it is said before any image is read
    bundle = load_bundle(Path(settings.bundle)) if settings.bundle else None
    data, output = settings.data.model_dump(), Path(settings.output)
    if settings.apply is not None and data["exclude"] and not Path(data["exclude"]).exists():
        data["exclude"] = None  # it is made below
    manifest, problems = survey_data(**(held_out_as_in(bundle, data) if bundle else data))
    cache = output / ".known"

    def load() -> Encoder:
        if bundle:
            return load_encoder(bundle, settings.device, settings.precision)
        return untrained_encoder(cache)

    told = f"{bundle.fingerprint} {settings.device} {settings.precision}" if bundle else identity()
    with only_one(output / ".lock", f"{output} is being written by another audit"):
        found = look(manifest, problems, load, told, cache)
        with atomic_file(output / "audit.parquet") as handle:
            found.findings.to_parquet(handle, index=False)
        write_bytes(output / "audit.html", page(found))
    print(found)
    print(f"written: {output / 'audit.html'}, {output / 'audit.parquet'}")
    if settings.apply is not None:
        print(exclude(found, settings.apply, settings.data.exclude))
    elif found.safe:
        print(f"{len(found.safe)} images can be left out without a second look: apply=safe")
    return 0


def augment(settings: Any) -> int:
    """`lookalike augment`."""
    from lookalike.augment import default_output, make_copies
    from lookalike.manifest import read_data

    manifest = read_data(**settings.data.model_dump())
    output = Path(settings.output) if settings.output else default_output(manifest.root)
    options = settings.model_dump(include={"per_class", "seed", "strength", "max_side", "threads"})
    rows = make_copies(manifest, output, **options)
    print(f"{len(rows)} copies of {rows['source'].nunique()} images in {output}, listed in {output / 'manifest.csv'}")
    return 0


def train(settings: Any) -> int:
    """`lookalike train`."""
    from lookalike import train as training

    bundle, result = training.train(settings)
    if result is not None:
        print(result)
    print(f"bundle: {bundle.path}")
    return 0


def compare(settings: Any, runs: list[tuple[dict[str, str], Any]]) -> int:
    """`lookalike compare`."""
    from lookalike.comparison import ComparisonError, Point, conclude, run_grid
    from lookalike.comparison_page import write
    from lookalike.files import only_one
    from lookalike.trackers import open_parent
    from lookalike.train import train

    if settings.resume == "never":
        raise ComparisonError("resume=never: a comparison always goes on: give name=<another> to start over")
    output = Path(settings.output or f"reports/{settings.name}")
    points = [Point(axes, one) for axes, one in runs]
    with only_one(output / ".lock", f"comparison {settings.name} is being run by another process"):
        parent = open_parent(settings.name, settings.logger, output)
        measured, diverged = run_grid(points, output, lambda one: train(one, parent))
        found = conclude(measured, measured[0].about["protocol"] if measured else "", diverged)
        written = write(found, output, settings.name)
        parent.adopt([Path(one.settings.checkpoint_dir) / str(one.settings.run) for one in points])
        parent.close(found.figures(), written)
    print(found)
    for file in written:
        print(f"written: {file}")
    return int(bool(diverged))


def tune(settings: Any) -> int:
    """`lookalike tune`."""
    from functools import cache

    from lookalike.files import only_one
    from lookalike.trackers import Parent, open_parent
    from lookalike.train import train
    from lookalike.tune import search
    from lookalike.tune_page import command, write

    output = Path(settings.output or f"reports/{settings.name}")

    @cache
    def parent() -> Parent:  # not before the settings are found right
        return open_parent(settings.name, settings.logger, output)

    with only_one(output / ".lock", f"search {settings.name} is being run by another process"):
        found = search(settings, output, lambda one, watch: train(one, parent(), watch)[0])
        written = write(found, output)
        parent().adopt([Path(settings.checkpoint_dir) / run for run in found.trials["run"]])
        parent().close({"best": float(found.trials["score"].iloc[0])}, written)
    print(found.sentence)
    print(command(output))
    for file in written:
        print(f"written: {file}")
    return 0


def evaluate(settings: Any) -> int:
    """`lookalike eval`."""
    from lookalike.assess import assess

    assessment = assess(settings)
    print(assessment.identification)
    rules = [settings.rerank if settings.rerank != "none" else "", settings.similarity.replace("cosine", "")]
    rules.append("" if settings.camera_rule else "all_cameras")
    name = "-".join([assessment.name, settings.split, *filter(None, rules)])
    written = assessment.write(Path(settings.output or f"reports/{name}.json"), settings.worst)
    for file in written:
        print(f"written: {file}")
    if settings.logger:
        from lookalike.settings import flat
        from lookalike.trackers import Tracker

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
    from lookalike.report import gather
    from lookalike.report_page import page, sentence

    options = settings.model_dump(include={"split", "camera_rule", "umap", "device", "precision"})
    found = gather(Path(settings.bundle), settings.data.model_dump(), **options)
    output = Path(settings.output or f"reports/{found.bundle.path.resolve().name}-{settings.split}.html")
    write_bytes(output, page(found))
    print(sentence(found))
    print(f"written: {output} ({output.stat().st_size / 2**20:.1f} MiB)")
    return 0


def predict(settings: Any) -> int:
    """`lookalike predict`."""
    from lookalike.predict import find_queries

    return _predict_files(settings, find_queries(settings.image))


def _predict_files(settings: Any, files: list[Path]) -> int:
    from dataclasses import replace

    from lookalike import predict as prediction_of
    from lookalike.bundle import load_bundle
    from lookalike.embed import load_encoder
    from lookalike.progress import progress

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
    from lookalike.pictures import Cell, draw_rows

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
    from lookalike.bundle import load_bundle
    from lookalike.embed import load_encoder
    from lookalike.measure import embed_any

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


def quantize(settings: Any) -> int:
    """`lookalike quantize`."""
    from lookalike.bundle import load_bundle
    from lookalike.manifest import read_data
    from lookalike.measure import held_out_as_in
    from lookalike.quantize import quantize as to_int8

    bundle = load_bundle(Path(settings.bundle))
    manifest = read_data(**held_out_as_in(bundle, settings.data.model_dump()))
    folder = bundle.path.resolve()
    output = Path(settings.output) if settings.output else folder.with_name(f"{folder.name}-int8")
    options = settings.model_dump(include={"images", "max_loss", "seed"})
    made, found = to_int8(bundle, manifest, output, **options)
    print(found)
    print(f"cosine to the float32 graph: at least {found.min_cosine:.4f}, mean {found.mean_cosine:.4f}")
    print(f"bundle: {made.path}")
    return 0


def demo(settings: Any, read_settings: Callable[[str, list[str]], Any]) -> int:
    """`lookalike demo`; `read_settings` is that of the command line, so that every step is one a person can type."""
    from lookalike.demo import find_example
    from lookalike.manifest import read_data

    example = find_example(settings.data.root)
    run, root = f"demo-{example.name}", f"data.root={example.root}"
    held = [f"data.validation_share={settings.data.validation_share}", f"data.seed={settings.data.seed}"]
    print(f"1. train on {example.root}", flush=True)
    code = train(read_settings("train", [root, *held, f"run={run}", *example.settings]))
    bundle = f"bundle=models/{run}"
    print(f"\n2. evaluate on {example.split}", flush=True)
    code |= evaluate(read_settings("eval", [bundle, root, f"split={example.split}"]))
    print("\n3. predict", flush=True)
    manifest = read_data(str(example.root), settings.data.validation_share, settings.data.seed)
    queries = manifest.protocol("validation").queries["path"]
    chosen = [manifest.file(path) for path in queries.iloc[:: max(1, len(queries) // 6)][:6]]
    code |= _predict_files(read_settings("predict", [bundle, "image=", "k=5"]), chosen)
    print(
        f"\nThe model is in models/{run} (its README.md tells what it is), the figures in reports/, the pictures in "
        f"predictions/.\nNext: lookalike predict {bundle} image=<your photograph>, or lookalike train "
        "data.root=<your folder>"
    )
    return code
