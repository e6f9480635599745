"""predict through the real command: JSON contract, pictures, exit codes, galleries, the file of predict.py."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from shlex import quote as quote_shell
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from conftest import TINY
from lookalike import Gallery, Model
from lookalike.cli.main import main
from lookalike.gallery.stores import shown_place
from lookalike.inference.bundle import load_bundle
from lookalike.inference.bundle_writer import BundleParts, write_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.predict import predict
from lookalike.inference.rejection import Rejection
from postgres_server import PASSWORD, Server

_NUMBERS = count()
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(-\d+)?")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(here: Path) -> dict:
    (file,) = (here / "predictions").glob("*.json")
    return json.loads(file.read_text())


def test_the_json_and_the_picture_of_a_folder(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", f"bundle={bundle_path}", f"image={digits / 'validation' / 'digit 0'}", "k=7"]) == 0
    content = written(here)
    assert sorted(content) == ["bundle", "created", "fingerprint", "items", "k", "precision", "schema"]
    assert content["schema"] == 1
    assert content["k"] == 7
    assert content["fingerprint"] == load_bundle(bundle_path).fingerprint
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", content["created"])
    assert len(content["items"]) == 4
    for item in content["items"]:
        names = [neighbour["label"] for neighbour in item["neighbours"]]
        assert [neighbour["rank"] for neighbour in item["neighbours"]] == list(range(1, 8))
        assert item["score"] == names.count(item["label"]) / 7
        assert item["truth"] == "digit 0"
        similarity = [neighbour["similarity"] for neighbour in item["neighbours"]]
        assert similarity == sorted(similarity, reverse=True)
        assert all(
            Path(n["source"]).is_file() and Path(n["source"]).parent.name == n["label"] for n in item["neighbours"]
        )
    right = sum(item["label"] == "digit 0" for item in content["items"])
    printed = capsys.readouterr().out
    assert f"{right} of 4 right, taking the name of the folder as the label" in printed
    (picture,) = (here / "predictions").glob("*.png")
    assert STAMP.fullmatch(picture.stem)
    with Image.open(picture) as image:
        assert image.width > 8 * 148
        assert image.height > 4 * 148


def test_one_unreadable_image_does_not_stop_the_rest(bundle_path: Path, digits: Path, here: Path) -> None:
    folder = here / "new photos, (1)"
    shutil.copytree(digits / "test" / "digit 1", folder)
    (folder / "0000 broken.png").write_bytes(b"no image")
    assert main(["predict", f"bundle={bundle_path}", f"image={folder}", "k=3"]) == 1
    first, *rest = written(here)["items"]
    assert first["label"] is None
    assert first["neighbours"] == []
    assert "not an image" in first["error"]
    assert len(rest) == 4
    assert all(item["label"] and "error" not in item and item["truth"] is None for item in rest)


def test_nothing_but_unreadable_images_still_writes_the_json(bundle_path: Path, here: Path) -> None:
    Path("x.png").write_bytes(b"no image")
    assert main(["predict", f"bundle={bundle_path}", "image=x.png", "k=3"]) == 1
    assert len(written(here)["items"]) == 1
    assert not list(here.rglob("predictions/*.png"))


def test_predictions_never_replace_one_another(bundle_path: Path, digits: Path, here: Path) -> None:
    image = next((digits / "test").rglob("*.png"))
    for _ in range(3):
        assert main(["predict", f"bundle={bundle_path}", f"image={image}", "k=1"]) == 0
    files = sorted((here / "predictions").iterdir())
    assert len(files) == 6
    assert all(STAMP.fullmatch(file.stem) for file in files)
    assert {file.stem for file in files if file.suffix == ".png"} == {
        file.stem for file in files if file.suffix == ".json"
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["k=51"], r"k=51: expected 1 to 50, the number of images in the gallery"),
        (["k=0"], r"k=0: expected greater than or equal to 1"),
        (["image=nowhere/*.jpg"], r"image=nowhere/\*\.jpg: no image there: give a file, a folder or a quoted pattern"),
        (["bundle=nowhere"], r"nowhere: no bundle here"),
        (["picture_row=3"], r"picture_row: unknown setting; did you mean picture_rows\?"),
    ],
)
def test_wrong_use(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    given = {"bundle": bundle_path, "image": digits / "test", **dict(argument.split("=", 1) for argument in arguments)}
    assert main(["predict", *(f"{name}={value}" for name, value in given.items())]) == 2
    error = capsys.readouterr().err
    assert re.search(text, error), error
    assert len(error.strip().splitlines()) == 1
    assert not (here / "predictions").exists()


def relabelled(bundle_path: Path, target: Path, names: dict[str, str]) -> Path:
    """The bundle with other names for some of its labels."""
    bundle = load_bundle(bundle_path)
    references = replace(bundle.references, labels=[names.get(label, label) for label in bundle.references.labels])
    return write_bundle(
        target, bundle.config, BundleParts(bundle.weights, bundle.graph, references, "# Relabelled\n")
    ).path


def test_labels_that_print_alike_are_told_at_prediction(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = next((digits / "test" / "digit 0").iterdir())
    bundle = relabelled(bundle_path, here / "models" / "alike", {"digit 1": "Digit\u00a00"})
    assert main(["predict", f"bundle={bundle}", f"image={file}"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"{bundle}: 2 labels differ only in blanks, case, Unicode form" in said
    assert r"'Digit\u00a00', 'digit 0'" in said


def test_a_gallery_that_moved(bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = next((digits / "test").rglob("*.png"))
    assert main(["predict", f"bundle={bundle_path}", f"image={image}", "k=2", "output=all"]) == 0
    assert "gallery_root" not in capsys.readouterr().err
    assert main(["predict", f"bundle={bundle_path}", f"image={image}", "k=2", "gallery_root=/elsewhere"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "2 of the 2 known images in the picture are not there (first: /elsewhere/train/digit " in said
    assert "if they moved, give gallery_root=<the folder that they are below now>" in said
    paths = [neighbour["source"] for neighbour in written(here)["items"][0]["neighbours"]]
    assert all(path.startswith("/elsewhere/train/digit ") for path in paths)


def test_predict_py_reads_its_file_and_the_command_line_wins(bundle_path: Path, digits: Path, here: Path) -> None:
    root = Path(__file__).parents[2]
    (here / "configs").mkdir()
    shutil.copy(root / "predict.py", here)
    config = {"bundle": str(bundle_path), "image": str(digits / "test" / "digit 2"), "k": 4}
    (here / "configs" / "predict_config.json").write_text(json.dumps(config))
    for arguments, k in (([], 4), (["k=2"], 2)):
        done = subprocess.run(
            [sys.executable, "predict.py", *arguments], cwd=here, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        latest = max((here / "predictions").glob("*.json"))
        assert json.loads(latest.read_text())["k"] == k
        shutil.rmtree(here / "predictions")


def test_predicting_loads_neither_torch_nor_the_training_stack(bundle_path: Path, digits: Path, here: Path) -> None:
    image = next((digits / "test").rglob("*.png"))
    code = (
        "import sys; from lookalike.cli.main import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'lightning', 'timm', 'mlflow', 'albumentations', 'pandas', 'sklearn'}; "
        "print(sorted(heavy & set(sys.modules))); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "predict", f"bundle={bundle_path}", f"image={image}", "k=2"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]"), done.stdout


def test_unknown_images_are_called_unknown(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", f"data.root={digits}", "run=t", "false_accept_rate=0.07", *TINY]) == 0
    bundle = load_bundle(Path("models/t"))
    rates = [entry.false_accept_rate for entry in bundle.config.open_set.thresholds]
    assert rates == [0.01, 0.02, 0.05, 0.07, 0.1, 0.2]
    assert bundle.threshold() == bundle.threshold(0.07)
    unknowns = bundle.config.open_set.unknowns
    assert unknowns is not None
    assert (unknowns.folds, unknowns.trained, len(set(unknowns.labels))) == (2, False, 2)
    assert len(unknowns.similarity) == 28, "all images of a digit that a fold was trained without"
    assert bundle.threshold(0.01) >= bundle.threshold(0.2)  # type: ignore[operator]
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")
    capsys.readouterr()
    for rate in (None, 0.01, 0.2):
        more = [] if rate is None else [f"false_accept_rate={rate}"]
        assert main(["predict", "bundle=models/t", f"image={digits / 'test'}", "k=3", "picture_rows=2", *more]) == 0
        output = capsys.readouterr().out
        written = output.rpartition("written: ")[0].rpartition("written: ")[2].strip()
        prediction = json.loads(Path(written).read_text())
        threshold = bundle.threshold(rate)
        assert prediction["threshold"] == threshold
        for item in prediction["items"]:
            near = item["neighbours"][0]["similarity"] > threshold
            assert (item["label"] != "unknown") == near
            assert (item["score"] is None) == (not near)
            assert len(item["neighbours"]) == 3
    gallery = bundle.references
    seen = gallery.embeddings[0]
    encoder = openvino_encoder(bundle)
    images = np.random.default_rng(1).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    far = np.argsort((encoder.embed_arrays(images) @ gallery.embeddings.T).max(1))[0]
    assert seen @ seen > 0.99
    Image.fromarray(images[far]).save("far.png")
    limit = Rejection(0.9999 * float(seen @ seen))
    judged = predict(encoder, gallery, [gallery.file(0), Path("far.png")], 3, source="t", rejection=limit)
    assert [item.label for item in judged.items] == [gallery.labels[0], "unknown"]
    assert [item.score is None for item in judged.items] == [False, True]
    assert main(["predict", "bundle=models/t", "image=noise.png", "k=3", "threshold=-1"]) == 0
    assert "none of 1 called unknown; threshold: a similarity of -1.000 to the" in capsys.readouterr().out
    for given, expected in (("0.03", "false accept rate 0.03 asked"), ("off", ""), ("1.5", None)):
        code = main(["predict", "bundle=models/t", "image=noise.png", "k=3", f"false_accept_rate={given}"])
        output = capsys.readouterr().out
        assert (code, output.count(" called unknown; threshold")) == (
            (2, 0) if expected is None else (0, bool(expected))
        )
        assert (expected or "") in output
    assert main(["predict", "bundle=models/t", "image=noise.png", "k=11"]) == 0
    output = capsys.readouterr()
    assert "k=11: 5 of 5 labels have fewer images (least: 10)" in output.out + output.err
    assert main(["predict", "bundle=models/t", "image=noise.png", "k=3", "threshold=0.999999"]) == 0
    assert (
        "1 of 1 called unknown; threshold: a similarity of 1.000 to the nearest known image" in capsys.readouterr().out
    )
    assert main(["predict", "bundle=models/t", "image=noise.png", "threshold=0.5", "false_accept_rate=0.1"]) == 2
    assert "expected one of them, got both: leave one out" in capsys.readouterr().err


def test_thresholds_are_chosen_by_labels_that_were_not_trained_on(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a validation with individuals of its own by those alone, without another training."""
    shutil.copytree(digits, tmp_path / "d")
    for split in ("train", "test"):
        shutil.rmtree(tmp_path / "d" / split / "digit 4")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "data.root=d", "run=t", "false_accept_rate=0.2", *TINY, "trainer.max_epochs=1"]) == 0
    output = capsys.readouterr()
    assert "training without" not in output.out + output.err
    assert "validation: 4 of 20 queries are of 1 label(s) that no reference has" in output.out + output.err
    open_set = load_bundle(Path("models/t")).config.open_set
    assert open_set.unknowns is not None
    assert (open_set.unknowns.trained, open_set.unknowns.folds, len(open_set.unknowns.similarity)) == (False, 0, 4)
    assert [(entry.queries, entry.labels, entry.trained) for entry in open_set.thresholds] == [(4, 1, False)] * 5
    assert main(["predict", "bundle=models/t", f"image={digits / 'test'}", "k=3", "picture_rows=0"]) == 0
    output = capsys.readouterr()
    assert "false accept rate 0.2 asked" in output.out
    assert "measured on 4 images of 1 label that were not trained on" in output.out
    assert "4 images of 1 label cannot support 0.2" in output.out + output.err


def cluster(count: int, size: int, seed: int) -> np.ndarray:
    """Unit vectors around 100 directions, as those of labels are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((100, size))
    rows = centres[rng.integers(0, 100, count)] + 0.3 * rng.standard_normal((count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=["folder", "server"])
def shop(request: pytest.FixtureRequest, bundle_path: Path, digits: Path, here: Path) -> str:
    """The training digits in a gallery, in a folder and on a server."""
    place = "shop"
    if request.param == "server":
        server: Server = request.getfixturevalue("server")
        place = server.url(f"predict-{next(_NUMBERS)}")
    with Gallery.create(place, Model.load(bundle_path)) as gallery:
        gallery.add(digits / "train")
    return place


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server.make()
    yield made
    made.remove()


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """All that a command prints; no password is ever among it."""
    capsys.readouterr()
    assert main(list(arguments)) == code
    shown = capsys.readouterr()
    assert quote(PASSWORD, safe="") not in shown.out + shown.err
    assert PASSWORD not in shown.out + shown.err
    return shown.out + " ".join(shown.err.split())


def test_an_approximate_search_is_asked_for_and_says_what_it_finds(
    shop: str, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Gallery.open(shop) as gallery:
        rows = cluster(10_000, 16, 1)
        gallery.add_embeddings(rows, [f"other {row % 50}" for row in range(len(rows))])
    ask = ("predict", f"gallery={shop}", f"image={digits / 'train'}", "k=5", "picture_rows=0")
    assert "index" not in written_after(here, capsys, *ask)
    exact = written(here)["items"]
    content = written_after(here, capsys, *ask, "index=ivf")
    facts = content["index"]
    assert facts["kind"] == "ivf"
    assert facts["images"] == 10_050
    assert 0.99 <= facts["recall_at_10"] <= 1
    assert facts["probes"] <= facts["cells"] == 400
    same = [item["neighbours"] == other["neighbours"] for item, other in zip(content["items"], exact, strict=True)]
    assert np.mean(same) > 0.9
    printed = said(capsys, *ask, "index=ivf")
    line = f"approximate search of 10050 images: finds {facts['recall_at_10']:.4f} of the true ten nearest ("
    assert line in printed
    assert "building the index of 10050 images" in printed
    content = written_after(here, capsys, *ask, "index=ivf", "where.label=digit 1")
    reason = "where and unless leave images out, and index=ivf searches all"
    assert content["index"] == {"kind": "exact", "reason": reason}
    assert {near["label"] for item in content["items"] for near in item["neighbours"]} == {"digit 1"}
    printed = said(capsys, *ask, "index=ivf", "unless.label=digit 1", "output=said.csv")
    assert f"searched exactly: {reason}\n" in printed
    assert "building" not in printed


def written_after(here: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    shutil.rmtree(here / "predictions", ignore_errors=True)
    said(capsys, *arguments)
    return written(here)


def test_few_images_are_searched_exactly(
    shop: str, bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ("predict", f"gallery={shop}", f"image={digits / 'test'}", "k=1", "index=ivf")
    assert "searched exactly: 50 images, and index=ivf is of at least 10000\n" in said(capsys, *ask)
    assert written(here)["index"] == {"kind": "exact", "reason": "50 images, and index=ivf is of at least 10000"}
    assert "index=flat: expected 'ivf'" in said(capsys, *ask[:-1], "index=flat", code=2)
    refused = said(capsys, "predict", f"bundle={bundle_path}", f"image={digits / 'test'}", "index=ivf", code=2)
    assert "index: is of a gallery, and a bundle has none: give gallery=<folder>, or leave it out" in refused


def test_unknown_images_of_any_gallery_are_kept_grouped_and_enrolled(
    shop: str, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder that is given; its own only where it has one."""
    shown = shown_place(shop, "test")
    ask = ("predict", f"gallery={shop}", f"image={digits / 'test'}", "threshold=1", "picture_rows=0", "output=.")
    printed = said(capsys, *ask, "keep_unknown=new things")
    line = f"20 unknown images kept for lookalike gallery suggest gallery={quote_shell(str(shown))} images='new things'"
    assert printed.partition("\nwritten: ")[2].splitlines()[1] == line
    assert len(list((here / "new things").iterdir())) == 20
    grouped = said(capsys, "gallery", "suggest", f"gallery={shop}", "images=new things", "output=.")
    assert (
        f"\nNext: edit the labels in suggestions.csv, then lookalike gallery add gallery={quote_shell(str(shown))} im"
        in grouped
    )
    table = here / "suggestions.csv"
    table.write_text(
        "path,label\n" + "".join(f"new things/{file.name},new\n" for file in (here / "new things").iterdir())
    )
    added = said(capsys, "gallery", "add", f"gallery={shop}", "images=suggestions.csv")
    assert "20 images added: Gallery('" in added
    if shop == "shop":
        return
    advice = "as a gallery on a server has none of its own: give one, on the command line predict keep_unknown=<folder>"
    before = sorted(here.iterdir())
    refused = said(capsys, *ask, "keep_unknown=true", code=2)
    assert f"{shown}: expected a folder for unknown images, {advice}" in refused
    assert sorted(here.iterdir()) == before, "said before any work"
    assert advice in said(capsys, "gallery", "suggest", f"gallery={shop}", code=2)


def test_a_folder_for_unknown_images_that_cannot_be_is_told_before_any_work(
    shop: str, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").write_text("in the way")
    ask = ("predict", f"gallery={shop}", f"image={digits / 'test'}", "threshold=1", "keep_unknown=file/unknown")
    assert "file/unknown: nothing can be written there (Not a directory): give another folder" in said(
        capsys, *ask, code=2
    )
    assert not (here / "predictions").exists()


def test_no_command_shows_the_password_of_a_gallery(
    server: Server, bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor a file that it writes, nor its name."""
    place = server.url(f"predict-{next(_NUMBERS)}")
    shown = shown_place(place, "test")
    made = said(capsys, "gallery", "create", f"gallery={place}", f"bundle={bundle_path}")
    assert f"Next: lookalike gallery add gallery={quote_shell(str(shown))} images=<folder>" in made
    said(capsys, "gallery", "add", f"gallery={place}", f"images={digits / 'train'}")
    said(capsys, "predict", f"gallery={place}", f"image={digits / 'test'}", "output=.")
    measured = said(capsys, "eval", f"gallery={place}", f"data.root={digits}", "split=test", "logger=[csv]")
    name = place.rpartition("=")[2]
    assert f"written: reports/{name}-test.json" in measured
    said(capsys, "gallery", "export", f"gallery={place}", "output=exported")
    for file in here.rglob("*"):
        for secret in (PASSWORD, quote(PASSWORD, safe="")):
            assert secret not in str(file)
            assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def test_explain_puts_regions_into_the_json_and_the_picture(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = sorted((digits / "test" / "digit 3").iterdir())[0]
    told = [f"bundle={bundle_path}", f"image={file}", "k=3", "precision=float32"]
    assert main(["predict", *told, "explain=true"]) == 0
    content = written(here)
    for near in content["items"][0]["neighbours"]:
        assert near["explanation"]["similarity"] == near["similarity"]
        assert near["explanation"]["other"] == near["source"]
        assert near["explanation"]["image_regions"]
    (picture,) = (here / "predictions").glob("*.png")
    assert Image.open(picture).size[0] > 500
    capsys.readouterr()
    assert main(["predict", *told, "explain=true", "output=shown.csv"]) == 2
    assert "explain: shown.csv holds no maps of regions: give a folder as output" in capsys.readouterr().err


def test_boxes_of_one_photograph_are_told_apart(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = Image.new("RGB", (64, 32))
    for place, label in enumerate(("digit 0", "digit 3")):
        both.paste(Image.open(sorted((digits / "train" / label).iterdir())[0]), (32 * place, 0))
    (here / "shelf").mkdir()
    both.save(here / "shelf" / "both.png")
    (here / "boxes.csv").write_text(
        "path,x1,y1,x2,y2\nshelf/both.png,0,0,32,32\nshelf/both.png,32,0,70,32\nother.png,0,0,9,9\n"
    )
    told = [f"bundle={bundle_path}", "image=shelf", "k=3", "boxes=boxes.csv"]
    assert main(["predict", *told]) == 0
    first, second = written(here)["items"]
    assert (first["box_number"], first["box"], first["neighbours"][0]["label"]) == (1, [0, 0, 32, 32], "digit 0")
    assert (second["box_number"], second["box"], second["neighbours"][0]["label"]) == (2, [32, 0, 64, 32], "digit 3")
    shown = capsys.readouterr()
    assert f"1: shelf/both.png: {first['label']}" in shown.out
    assert f"2: shelf/both.png: {second['label']}" in shown.out
    assert "boxes=boxes.csv: 1 box(es) reach beyond their image and are cut to it: shelf/both.png" in shown.err
    assert "boxes=boxes.csv: 1 box of 1 image not asked for: passed over" in shown.err
    (picture,) = (here / "predictions").glob("*.png")
    pixels = np.asarray(Image.open(picture)).astype(int)
    rows = [pixels[10:158, 10:158], pixels[208:356, 10:158]]
    assert (rows[0] != rows[1]).any(), "each row shows its own box"
    assert main(["predict", *told, "output=shown.csv"]) == 0
    assert [line.split(",")[:5] for line in (here / "shown.csv").read_text().splitlines()[1:]] == [
        ["shelf/both.png", "0", "0", "32", "32"],
        ["shelf/both.png", "32", "0", "64", "32"],
    ]
    assert main(["predict", f"bundle={bundle_path}", "image=boxes.csv", "boxes=boxes.csv"]) == 2
    assert "boxes: boxes.csv is a table, whose columns x1, y1, x2, y2 hold boxes" in capsys.readouterr().err
    assert main(["predict", f"bundle={bundle_path}", "image=shelf", "boxes=gone.json"]) == 2
    assert "boxes=gone.json: no such file or folder" in capsys.readouterr().err
