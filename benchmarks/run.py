"""Measures this machine, ours and the usual ways in turn, and writes benchmarks/RESULTS.md. Nothing there is typed.

make bench                             photographs of the demo (or digits without a network), about 40 minutes
LOOKALIKE_DATA=<folder> make bench     your own
python benchmarks/run.py [--quick] [--only training embedding evaluation predict growth correctness]

`--only` measures some sections again; the others keep their figures.

Lines about open-metric-learning and the evaluation of others need their environments: `make peers` makes them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from correctness import compare
from harness import HERE, OML_PYTHON, ROUNDS, Row, in_turn, machine, median_of, oml, ours, seconds_of, torchvision
from peers.worker import measured
from problems import PEERS_PYTHON, ask_peer, market_like, unit
from profiles import draw

from lookalike.console import say
from lookalike.data.example import find_example
from lookalike.data.manifest import Manifest
from lookalike.data.offline_copies import make_copies
from lookalike.data.reading import read_data
from lookalike.errors import LookalikeError
from lookalike.export.int8 import quantize
from lookalike.files import write_json
from lookalike.inference.bundle import load_bundle
from lookalike.inference.references import References
from lookalike.metrics.evaluate import evaluate
from lookalike.model import Model

SECTIONS = ("training", "embedding", "predict", "evaluation", "growth", "correctness")
LITE = ("model=efficientnet_lite0", "online=none", "trainer.max_epochs=4", "logger=none")


@dataclass
class Bench:
    """What the sections share.

    Attributes:
        manifest: The photographs.
        folder: Everything that is written on the way.
        quick: Small sizes, to try the harness itself.
        rows: The table so far.
        notes: Paragraphs and tables behind it.
        profiles: Figures for the pictures of docs/performance.md.
    """

    manifest: Manifest
    folder: Path
    quick: bool
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    profiles: dict[str, Any] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        """Alternating runs."""
        return 1 if self.quick else ROUNDS

    def add(self, row: Row) -> None:
        """Adds a line and says it."""
        self.rows.append(row)
        say(str(row))


def small_set(bench: Bench) -> Path:
    """Twelve classes of 32 training images, augmented copies among them, and their validation images."""
    root, classes, images = bench.folder / "small", 4 if bench.quick else 12, 10 if bench.quick else 32
    rows = bench.manifest.original
    counts = rows[rows["split"] == "validation"]["label"].value_counts()
    labels = sorted(counts.index[:classes])
    chosen = rows[rows["label"].isin(labels) & rows["split"].isin(["train", "validation"]) & ~rows["ignore"]]
    for split, label, path in zip(chosen["split"], chosen["label"], chosen["path"], strict=True):
        folder = root / split / label
        folder.mkdir(parents=True, exist_ok=True)
        if split == "validation" or len(list(folder.iterdir())) < images:
            (folder / Path(path).name).symlink_to(bench.manifest.file(path).resolve())
    manifest = read_data(str(root))
    copies = make_copies(manifest, root.with_name("copies"), per_class=images, seed=0, strength=1.0, max_side=512)
    for path, label in zip(copies["path"], copies["label"], strict=True):
        (root / "train" / label / Path(path).name).symlink_to(path)
    return root


def training(bench: Bench) -> None:
    """(a) the fruits recipe: one epoch from the second on, and the whole run."""
    root, epochs = small_set(bench), 2 if bench.quick else 10
    images = sum(1 for _ in (root / "train").rglob("*.jpg"))
    labels = len(list((root / "train").iterdir()))
    common = (f"root={root / 'train'}", f"labels={labels}", "batch=8", f"validation={root / 'validation'}")
    number = iter(range(1000))

    def run() -> dict[str, Any]:
        place = bench.folder / f"run{next(number)}"
        recipe = ("experiment=fruits", "augment=none", "model.weights=none", "logger=none", "run=r")
        settings = (f"trainer.max_epochs={epochs}", f"trainer.patience={epochs}")
        folders = (f"models_dir={place / 'models'}", f"checkpoint_dir={place / 'checkpoint'}")
        return ours("train", f"data.root={root}", *recipe, *settings, *folders)

    works = {
        "ours": run,
        "torchvision": lambda: torchvision("train_torchvision_pml", *common, f"epochs={epochs}"),
    }
    if OML_PYTHON.exists():
        works["oml"] = lambda: oml("train_oml", *common, "epochs=2")
    runs = in_turn(works, bench.rounds)
    names = {"torchvision": "torchvision + PML", "oml": "open-metric-learning"}
    later = {
        name: median_of(answers, lambda a: statistics.median(a["epoch_seconds"][1:])) for name, answers in runs.items()
    }
    for name, title in names.items():
        if name not in later:
            continue
        mine = later["ours"]
        theirs = later[name]
        bench.add(
            Row(
                f"one epoch of training, ResNet18, layer4 + head, batches of 8, from the second on ({images} images)",
                title,
                f"{images / mine:.0f} images/s",
                f"{images / theirs:.0f} images/s",
                theirs / mine,
            )
        )
    whole = {name: median_of(runs[name], lambda a: a["process_seconds"]) for name in ("ours", "torchvision")}
    bench.add(
        Row(
            f"{epochs} epochs with validation, process start to end; ours with cache, export and bundle",
            names["torchvision"],
            f"{whole['ours']:.0f} s",
            f"{whole['torchvision']:.0f} s",
            whole["torchvision"] / whole["ours"],
        )
    )
    bench.profiles["training"] = runs["ours"][-1]
    bench.profiles["arithmetic"] = [
        json.loads(file.read_text()) for file in sorted(bench.folder.rglob("arithmetic/*.json"))
    ]


def trained(bench: Bench, name: str) -> Path:
    """A bundle trained on the photographs: ResNet18 from random weights or efficientnet_lite0 from ImageNet."""
    place = bench.folder / name
    settings = LITE
    if name == "resnet18":
        settings = ("experiment=fruits", "augment=none", "model.weights=none", "logger=none", "trainer.max_epochs=10")
    if bench.quick:
        settings = (*settings, "trainer.max_epochs=1")
    if not (place / "models" / "r").exists():
        say(f"training {name} ...")
        folders = (f"models_dir={place / 'models'}", f"checkpoint_dir={place / 'checkpoint'}", "run=r")
        ours("train", *settings, f"data.root={bench.manifest.root}", *folders)
    return place / "models" / "r"


def quantized(bench: Bench, name: str) -> Path | None:
    """The int8 form of a bundle, or None where its figures do not stay."""
    source, target = trained(bench, name), bench.folder / name / "int8"
    if not target.exists():
        try:
            quantize(load_bundle(source), bench.manifest, target)
        except LookalikeError as error:
            say(str(error))
            return None
    return target


def embedding(bench: Bench) -> None:
    """(b) files to embeddings."""
    files = [str(bench.manifest.file(path)) for path in bench.manifest.original["path"]]
    files = files[:64] if bench.quick else files[:1000]
    listed = bench.folder / "files.txt"
    listed.write_text("\n".join(files))
    for name, timm in (("resnet18", "resnet18"), ("efficientnet_lite0", "tf_efficientnet_lite0")):
        bundle, int8 = trained(bench, name), quantized(bench, name)
        precision = "bf16" if load_bundle(bundle).config.parity.bf16 else "float32"
        works = {
            precision: lambda b=bundle: ours("embed", str(b), str(listed), "auto"),
            "torch": lambda t=timm: torchvision("embed_torch_pillow", f"files={listed}", f"model={t}"),
        }
        if int8:
            works["int8"] = lambda b=int8: ours("embed", str(b), str(listed), "auto")
        if OML_PYTHON.exists() and name == "resnet18":  # it has no efficientnet_lite0 of its own
            works["oml"] = lambda t=timm: oml(
                "embed_oml", f"files={listed}", f"model={t}", "transform=norm_resize_albu"
            )
        runs = in_turn(works, bench.rounds)
        rate = {tool: len(files) / median_of(answers, lambda a: a["seconds"]) for tool, answers in runs.items()}
        for tool in (precision, "int8"):
            for other, title in (("torch", "torch eager fp32 + Pillow"), ("oml", "open-metric-learning `inference`")):
                if tool in rate and other in rate:
                    ratio = rate[tool] / rate[other]
                    work = f"files to embeddings, {name}, {tool}"
                    bench.add(Row(work, title, f"{rate[tool]:.0f} images/s", f"{rate[other]:.0f} images/s", ratio))
        bench.profiles[f"embedding {name}"] = rate
        for tool, folder in ((precision, bundle), ("int8", int8)):
            if folder:
                bench.profiles.setdefault("network", {})[f"{name} {tool}"] = network_alone(folder)


def network_alone(bundle: Path) -> float:
    """Core-milliseconds of the network per image, pixels at hand."""
    encoder = Model.load(bundle).encoder
    pixels = np.random.default_rng(0).integers(0, 256, (256, 224, 224, 3), dtype=np.uint8)
    seconds = in_turn({"network": seconds_of(lambda: encoder.embed_arrays(pixels))}, warm=True)["network"]
    return 1000 * (os.cpu_count() or 1) * statistics.median(seconds) / len(pixels)


def predict(bench: Bench) -> None:
    """(d) one prediction, process start to end."""
    bundle = trained(bench, "efficientnet_lite0")
    file = bench.manifest.file(bench.manifest.original["path"].iloc[0])
    command = [sys.executable, "-m", "lookalike", "predict", f"bundle={bundle}", f"image={file}"]
    for more, what in (("picture_rows=0", "JSON"), ("picture_rows=20", "JSON and picture")):
        full = [*command, f"output={bench.folder / 'predictions'}", more]
        once = seconds_of(lambda c=full: subprocess.run(c, check=True, capture_output=True))
        seconds = statistics.median(in_turn({"ours": once}, bench.rounds, warm=True)["ours"])
        bench.add(Row(f"predict one image, process start to end, {what}", "", f"{seconds:.2f} s"))
    process = subprocess.run(
        [sys.executable, "-X", "importtime", *command[1:]], capture_output=True, text=True, check=True
    )
    bench.profiles["predict"] = {"seconds": seconds, "imports": imports(process.stderr)}


def imports(trace: str) -> dict[str, float]:
    """Seconds that each top-level package spends in its own code while being imported."""
    totals: dict[str, float] = {}
    for line in trace.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and len(parts) == 3 and parts[0].strip().isdigit():
            package = parts[2].strip().partition(".")[0]
            totals[package] = totals.get(package, 0.0) + int(parts[0]) / 1e6
    return totals


def evaluation(bench: Bench) -> None:
    """(c) retrieval metrics; benchmarks/ranking.py has more."""
    problem = market_like(0, 300, 1500) if bench.quick else market_like(0)
    file = bench.folder / "market.npz"
    problem.save(file)
    evaluate(**market_like(0, 30, 150).arguments())
    works: dict[str, Any] = {"ours": lambda: measured(lambda: evaluate(**problem.arguments()))[1]}
    titles = {"oml": "open-metric-learning", "pml": "PML, whole ranking, no camera rule"}
    if PEERS_PYTHON.exists():
        works |= {name: lambda n=name: ask_peer(n, [file])[0]["seconds"] for name in titles}
    medians = {name: statistics.median(seconds) for name, seconds in in_turn(works, bench.rounds, warm=True).items()}
    work = f"retrieval metrics, {len(problem.query):,} queries x {len(problem.reference):,} references x 512"
    if not set(titles) & set(medians):
        bench.add(Row(work, "", f"{medians['ours']:.2f} s"))
    for name in [name for name in titles if name in medians]:
        bench.add(
            Row(
                work,
                titles[name],
                f"{medians['ours']:.2f} s",
                f"{medians[name]:.2f} s",
                medians[name] / medians["ours"],
            )
        )


def growth(bench: Bench) -> None:
    """(e) time and memory against the number of images and of references."""
    bundle = trained(bench, "resnet18")
    files = [str(bench.manifest.file(path)) for path in bench.manifest.original["path"]]
    lines = ["| images embedded | seconds | images/s | memory beyond the model, MiB |", "|--:|--:|--:|--:|"]
    for count in (100, 200) if bench.quick else (1_000, 4_000, 10_000, 16_000):
        listed = bench.folder / "growth.txt"
        listed.write_text("\n".join((files * (count // len(files) + 1))[:count]))
        done = ours("embed", str(bundle), str(listed), "auto")
        rate = count / done["seconds"]
        lines.append(f"| {count:,} | {done['seconds']:.1f} | {rate:.0f} | {done['extra_mib']:.0f} |")
    bench.notes.append("\n".join(lines))
    lines = ["| references, 128 dimensions | one query's 10 nearest, ms | metrics of 500 queries, s |", "|--:|--:|--:|"]
    random = np.random.default_rng(0)
    for count in (1_000, 10_000) if bench.quick else (10_000, 100_000, 1_000_000):
        references = unit(random.standard_normal((count, 128), np.float32))
        labels = [str(label) for label in random.integers(0, count // 20, count)]
        gallery = References(references, labels, labels, bench.folder, "f")
        queries = unit(references[:500] + 0.1 * random.standard_normal((500, 128), np.float32))
        gallery.search(queries[:1], 10, "f")
        search = [seconds_of(lambda g=gallery, q=query: g.search(q[None], 10, "f"))() for query in queries[:50]]
        start = time.perf_counter()
        evaluate(queries, references, labels[:500], labels)
        lines.append(f"| {count:,} | {1000 * statistics.median(search):.1f} | {time.perf_counter() - start:.2f} |")
    bench.notes.append("\n".join(lines))


def correctness(bench: Bench) -> None:
    """Every way to an embedding against torch in float32, on the same photographs."""
    lines = [
        "| network | way | cosine, least | mean | accuracy@1, change in points | mAP, change in points |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name in ("resnet18", "efficientnet_lite0"):
        lines += compare(name, load_bundle(trained(bench, name)), quantized(bench, name), bench.manifest)
    bench.notes.append("\n".join(lines))


def kept_sections(file: Path) -> dict[str, Any]:
    """What earlier calls measured: section -> date, machine, rows, notes, profiles."""
    try:
        sections: dict[str, Any] = json.loads(file.read_text())["sections"]
    except (OSError, ValueError, KeyError):
        return {}
    return sections


def measure(bench: Bench, name: str, file: Path) -> None:
    """Runs one section and keeps its figures at once, beside those of the others."""
    bench.rows, bench.notes, bench.profiles = [], [], {}
    globals()[name](bench)
    figures = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "data": bench.manifest.root.name,
        "rounds": bench.rounds,
        "rows": [str(row) for row in bench.rows],
        "notes": bench.notes,
        "profiles": bench.profiles,
    }
    write_json(file, {"sections": {**kept_sections(file), name: figures}})


def write(sections: dict[str, Any], target: Path) -> None:
    """Writes the table: every section with the machine it was measured on."""
    lines = ["# Benchmarks", "", "Written by `make bench`: medians of runs in turn with what is compared.", ""]
    about: dict[str, list[str]] = {}
    for name in [name for name in SECTIONS if name in sections]:
        section = sections[name]
        sentence = (
            f"{section['date']}, {section['machine']}; photographs: {section['data']}; {section['rounds']} runs in turn"
        )
        about.setdefault(sentence, []).append(name)
    lines += [f"{', '.join(names)}: {sentence}." for sentence, names in about.items()]
    lines += ["", "| work | compared with | lookalike | the other | ratio |", "|---|---|---|---|---|"]
    for name in [name for name in SECTIONS if name in sections]:
        lines += sections[name]["rows"]
    for name in [name for name in SECTIONS if name in sections]:
        lines += [line for note in sections[name]["notes"] for line in ("", note)]
    lines += [
        "",
        "Correctness: 500 photographs (queries of validation, references of training), every way against torch in",
        "float32; one query is half a point. `cached trunk` is the network as trained from the cache.",
    ]
    target.write_text("\n".join(lines) + "\n")
    print(target.read_text())


def main() -> None:
    """Runs the sections and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round; writes RESULTS.part.md")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="measure these sections again")
    options = parser.parse_args()
    example = find_example(None)
    if example.name == "digits":
        sys.exit(
            "bench needs photographs: run it with a network, or with LOOKALIKE_DATA=<folder with train, validation>"
        )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # the arithmetic is measured anew
        manifest = read_data(str(example.root))
        bench = Bench(manifest, Path(folder), options.quick)
        name = "RESULTS.part" if options.quick else "RESULTS"
        for section in options.only:
            measure(bench, section, HERE / f"{name}.json")
        sections = kept_sections(HERE / f"{name}.json")
        write(sections, HERE / f"{name}.md")
        if not options.quick:  # the pictures of the documentation
            profiles = {part: value for section in sections.values() for part, value in section["profiles"].items()}
            draw(profiles, [manifest.file(path) for path in manifest.original["path"]][:400])


if __name__ == "__main__":
    main()
