"""The command `lookalike`: reads settings with Hydra, checks them, calls one module per verb. Nothing else knows Hydra.

Exit codes: 0 done, 1 done with failures, 2 wrong use.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lookalike import __version__
from lookalike.errors import LookalikeError, did_you_mean

_VERBS = {
    "demo": "the whole job on example photographs: train, evaluate, predict",
    "manifest": "count images per split and class, find unusable files, write the table",
    "augment": "write augmented copies of the training images",
    "train": "train a model and write it as a bundle",
    "eval": "measure a bundle on a split",
    "predict": "name the nearest known images of new ones",
    "embed": "write the embeddings of any images",
}
_OPTIONS = """options:
  --config FILE   read settings from a YAML or JSON file; the command line wins over it
  --debug         show the traceback of an error
  --help          this text; after a verb, its settings
  --version       print the version"""


class UsageError(LookalikeError):
    """The command line cannot be understood."""


def entry() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit code and prints errors on one line."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        return _run(arguments)
    except LookalikeError as error:
        if debug:
            raise
        print(f"lookalike: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing more to say, and nothing to say it to at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("lookalike: stopped", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        verbs = "\n".join(f"  {name:<10}{text}" for name, text in _VERBS.items())
        print(f"usage: lookalike <verb> [setting=value ...] [options]\n\nverbs:\n{verbs}\n\n{_OPTIONS}")
        return 0
    if arguments[0] == "--version":
        print(f"lookalike {__version__}")
        return 0
    verb, *rest = arguments
    if verb not in _VERBS:
        raise UsageError(f"{verb}: no such verb{did_you_mean(verb, list(_VERBS))}; verbs: {', '.join(_VERBS)}")
    if "--help" in rest or "-h" in rest:
        print(_help(verb))
        return 0
    settings = read_settings(verb, rest)
    command: Callable[[Any], int] = globals()[f"_{verb}"]
    return command(settings)


def read_settings(verb: str, arguments: list[str]) -> Any:
    """Composes the settings of a verb from `configs/`, a `--config` file and `key=value` arguments, and checks them.

    Raises:
        LookalikeError: Unknown group, option or setting, or a value out of range.
    """
    from lookalike.settings import COMMANDS, check

    overrides: list[tuple[str, Any]] = []
    arguments = list(arguments)
    while "--config" in arguments:
        place = arguments.index("--config")
        if place + 1 == len(arguments):
            raise UsageError("--config: needs a file, such as --config configs/predict_config.json")
        overrides += _from_file(Path(arguments[place + 1]))
        del arguments[place : place + 2]
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name or name.startswith("-"):
            raise UsageError(f"{argument}: expected setting=value; lookalike {verb} --help lists the settings")
        overrides.append((name, value))
    return check(COMMANDS[verb], compose(verb, overrides))


def config_folder() -> Path:
    """`configs/` inside the installed package, or of the checkout."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def compose(verb: str, overrides: list[tuple[str, Any]]) -> dict[str, Any]:
    """Plain settings of a verb after the overrides, later ones winning.

    Hydra composes the groups. Values are laid over them as they are: in Hydra's grammar a path may be an expression.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    folder = config_folder()
    groups = _groups(verb, folder)
    last = dict(overrides)
    chosen = [_choice(name, str(value), groups[name]) for name, value in last.items() if name in groups]
    try:
        with hydra.initialize_config_dir(str(folder.resolve()), version_base="1.3"):
            composed = OmegaConf.to_container(hydra.compose(verb, chosen), resolve=True, throw_on_missing=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(f"settings cannot be read: {str(error).splitlines()[0]}") from error
    assert isinstance(composed, dict)
    values = {str(name): value for name, value in composed.items()}
    for name, value in last.items():
        if name not in groups:
            _put(values, name.split("."), value)
    return values


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    for group in path[:-1]:
        if not isinstance(values.get(group), dict):
            values[group] = {}
        values = values[group]
    values[path[-1]] = value


def _groups(verb: str, folder: Path) -> dict[str, list[str]]:
    """Config groups of a verb and their options."""
    import yaml

    defaults = yaml.safe_load((folder / f"{verb}.yaml").read_text()).get("defaults", [])
    names = [
        str(name).split()[-1] for entry in defaults if isinstance(entry, dict) for name in entry if "@" not in name
    ]
    return {name: sorted(file.stem for file in (folder / name).glob("*.yaml")) for name in names}


def _choice(group: str, value: str, options: list[str]) -> str:
    """Hydra's choice of one option of a group, or of several loggers."""
    chosen = [part.strip(" '") for part in value.strip("[]").split(",")] if group == "logger" else [value]
    for option in chosen:
        if option not in options:
            raise UsageError(
                f"{group}={option}: no such option{did_you_mean(option, options)}; options: {', '.join(options)}"
            )
    return f"{group}=[{','.join(chosen)}]" if len(chosen) > 1 else f"{group}={chosen[0]}"


def _from_file(file: Path) -> list[tuple[str, Any]]:
    """Settings of a YAML or JSON file as overrides."""
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        # Without YAML's types a value means what it means on the command line: run: 2024 or image: on are names.
        content = json.loads(text) if file.suffix == ".json" else yaml.load(text, yaml.BaseLoader)
    except OSError as error:
        raise UsageError(f"--config {file}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"--config {file}: not YAML or JSON ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise UsageError(f"--config {file}: expected settings such as k: 10, got {type(content).__name__}")
    return list(_flattened(content))


def _flattened(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    """A value as it is typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":")).replace('"', "")


def _help(verb: str) -> str:
    """Settings of a verb with their defaults and meaning."""
    from pydantic import BaseModel

    from lookalike.settings import COMMANDS, MISSING

    values = compose(verb, [])
    lines = [f"usage: lookalike {verb} [setting=value ...]", "", _VERBS[verb], "", "settings and their defaults:"]

    def add(kind: type[BaseModel], here: dict[str, Any], prefix: str) -> None:
        for name, field in kind.model_fields.items():
            inner = field.annotation
            value = here.get(name)
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                add(inner, value or {}, f"{prefix}{name}.")
            elif isinstance(value, dict):
                lines.extend(f"  {prefix}{name}.{key}={_shown(part)}" for key, part in _flattened(value))
            else:
                shown = "(needed)" if value == MISSING else _shown(value)
                lines.append(f"{f'  {prefix}{name}={shown}':<44}  {field.description or ''}".rstrip())

    add(COMMANDS[verb], values, "")
    groups = [f"  {name}= {', '.join(options)}" for name, options in _groups(verb, config_folder()).items()]
    return "\n".join([*lines, *(["", "groups (a file under configs/ each):", *groups] if groups else []), "", _OPTIONS])


def _manifest(settings: Any) -> int:
    from lookalike.images import find_broken
    from lookalike.manifest import read_data, write_table
    from lookalike.progress import progress

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
    files = [manifest.file(path) for path in manifest.table["path"].unique()]
    with progress("checking images", len(files)) as advance:
        broken = find_broken(files, os.cpu_count() or 1, lambda: advance(1))
    for problem in broken:
        print(problem, file=sys.stderr)
    return 1 if broken else 0


def _augment(settings: Any) -> int:
    from lookalike.augment import default_output, make_copies
    from lookalike.manifest import read_data

    manifest = read_data(**settings.data.model_dump())
    output = Path(settings.output) if settings.output else default_output(manifest.root)
    options = settings.model_dump(include={"per_class", "seed", "strength", "max_side", "threads"})
    rows = make_copies(manifest, output, **options)
    print(f"{len(rows)} copies of {rows['source'].nunique()} images in {output}, listed in {output / 'manifest.csv'}")
    return 0


def _train(settings: Any) -> int:
    from lookalike.train import train

    bundle, result = train(settings)
    if result is not None:
        print(result)
    print(f"bundle: {bundle.path}")
    return 0


def _eval(settings: Any) -> int:
    from lookalike.bundle import load_bundle
    from lookalike.embed import load_encoder
    from lookalike.files import write_json
    from lookalike.measure import evaluate_split

    bundle = load_bundle(Path(settings.bundle))
    result = evaluate_split(bundle, load_encoder(bundle, settings.device), settings.data.model_dump(), settings.split)
    print(result)
    output = (
        Path(settings.output)
        if settings.output
        else Path("reports") / f"{bundle.path.resolve().name}-{settings.split}.json"
    )
    per_label = result.per_label().to_dict("records")
    about = {
        "bundle": str(bundle.path),
        "fingerprint": bundle.fingerprint,
        "data": settings.data.root,
        "split": settings.split,
    }
    write_json(output, {**about, **result.to_dict(), "per_label": per_label})
    print(f"written: {output}")
    return 0


def _predict(settings: Any) -> int:
    from lookalike.predict import find_queries

    return _predict_files(settings, find_queries(settings.image))


def _predict_files(settings: Any, files: list[Path]) -> int:
    from dataclasses import replace

    from lookalike.bundle import load_bundle
    from lookalike.embed import load_encoder
    from lookalike.predict import predict
    from lookalike.progress import progress

    bundle = load_bundle(Path(settings.bundle))
    gallery = bundle.gallery
    if settings.gallery_root:
        gallery = replace(gallery, root=Path(settings.gallery_root))
    with progress("embedding", len(files)) as advance:
        prediction = predict(
            bundle, load_encoder(bundle, settings.device), files, settings.k, gallery=gallery, progress=advance
        )
    written = prediction.write(Path(settings.output))
    for item in prediction.items:
        names = ", ".join(neighbour.label for neighbour in item.neighbours)
        print(
            f"{item.image}: {item.error}" if item.error else f"{item.image}: {item.label} ({item.score:.0%})  [{names}]"
        )
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
        votes = f"{round(item.score * len(item.neighbours))} of {len(item.neighbours)} neighbours"
        note = f"is {item.truth}; {votes}" if verdict is False else votes
        cells = [Cell(Path(item.image), f"query: {item.label}", note, verdict)]
        for near in item.neighbours:
            same = None if item.truth is None else near.label == item.truth
            cells.append(Cell(Path(near.path), near.label, f"{near.rank}.  similarity {near.similarity:.3f}", same))
        rows.append(cells)
    with atomic_file(file) as handle:
        draw_rows(rows).save(handle, format="PNG")
    return file


def _embed(settings: Any) -> int:
    from lookalike.bundle import load_bundle
    from lookalike.embed import load_encoder
    from lookalike.measure import embed_any

    bundle = load_bundle(Path(settings.bundle))
    gallery, failures = embed_any(
        load_encoder(bundle, settings.device), settings.data.model_dump(), Path(settings.output)
    )
    size = gallery.embeddings.shape[1]
    print(
        f"{len(gallery)} embeddings of {size} dimensions in {settings.output}: embeddings.npy, rows.csv, gallery.json"
    )
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _demo(settings: Any) -> int:
    from lookalike.demo import find_example
    from lookalike.manifest import read_data

    example = find_example(settings.data.root)
    run, root = f"demo-{example.name}", f"data.root={example.root}"
    print(f"1. train on {example.root}", flush=True)
    code = _train(read_settings("train", [root, f"run={run}", *example.settings]))
    bundle = f"bundle=models/{run}"
    print(f"\n2. evaluate on {example.split}", flush=True)
    code |= _eval(read_settings("eval", [bundle, root, f"split={example.split}"]))
    print("\n3. predict", flush=True)
    manifest = read_data(str(example.root))
    queries = manifest.protocol("validation").queries["path"]
    chosen = [manifest.file(path) for path in queries.iloc[:: max(1, len(queries) // 6)][:6]]
    code |= _predict_files(read_settings("predict", [bundle, "image=", "k=5"]), chosen)
    print(
        f"\nThe model is in models/{run} (its README.md tells what it is), the figures in reports/, the pictures in "
        f"predictions/.\nNext: lookalike predict {bundle} image=<your photograph>, or lookalike train "
        "data.root=<your folder>"
    )
    return code
