"""`Model`: one way in for bundles and checkpoints, one way to a number, and plain words for what is wrong."""

import copy
import gc
import io
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import TINY
from lookalike import Dataset, Gallery, LookalikeError, Model, Prediction, Predictions
from lookalike.cli.arguments import read_settings
from lookalike.data.images import ImageError, read_image
from lookalike.inference.bundle import BundleError
from lookalike.inference.queries import PredictError
from lookalike.inference.references import GalleryError
from lookalike.inference.rejection import RejectionError
from lookalike.metrics.columns import EvaluationError
from lookalike.training.run import train


@pytest.fixture(scope="module")
def model(bundle_path: Path) -> Model:
    return Model.load(bundle_path)


@pytest.fixture(scope="module")
def checkpoints(bundle_path: Path) -> Path:
    """Where the run of the bundle left its state."""
    return bundle_path.parents[1] / "checkpoint" / bundle_path.name


@pytest.fixture(scope="module")
def files(digits: Path) -> list[Path]:
    return sorted(digits.glob("test/*/*.png"))


@pytest.fixture(scope="module")
def of_checkpoint(checkpoints: Path) -> Model:
    return Model.from_checkpoint(checkpoints / "best.safetensors", device="cpu")


def test_a_loaded_bundle_says_what_it_is(model: Model, bundle_path: Path) -> None:
    assert model.name == "tiny"
    assert model.labels == [f"digit {number}" for number in range(5)]
    assert (len(model.references), model.held_out.validation_share) == (50, 0)
    assert model.about["bundle"] == str(bundle_path)
    assert model.bundle is not None
    assert model.about["fingerprint"] == model.encoder.fingerprint == model.bundle.fingerprint
    precision = model.encoder.precision
    assert repr(model) == f"Model('tiny': 16 dimensions from 32 x 32 pixels, {precision}, knows 50 images of 5 labels)"
    assert Model.load(str(bundle_path)).encoder.fingerprint == model.encoder.fingerprint


def test_a_bundle_is_named_after_its_folder_however_it_is_reached(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle_path)
    assert Model.load(".").name == "tiny"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"device": "gpu"}, r"^device='gpu': expected one of auto, cpu, cuda$"),
        ({"precision": "float16"}, r"^precision='float16': expected one of auto, float32, bf16$"),
    ],
)
def test_a_misspelt_choice_is_refused(bundle_path: Path, options: dict[str, str], text: str) -> None:
    with pytest.raises(LookalikeError, match=text):
        Model.load(bundle_path, **options)  # type: ignore[arg-type]


def test_no_bundle_there_names_those_beside_it(bundle_path: Path) -> None:
    with pytest.raises(BundleError, match=r"tinny: no bundle here .*: bundles in .*: tiny"):
        Model.load(bundle_path.with_name("tinny"))


def test_every_form_of_an_image_has_one_embedding(model: Model, files: list[Path], few_produce: Path) -> None:
    photographs = sorted(few_produce.glob("validation/*/*.jpg"))[::9]
    arrays = [read_image(file) for file in files + photographs]
    encoded = []
    for array in arrays:  # as PNG, which loses nothing; a large JPEG would be decoded at reduced scale
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    expected = model.embed(arrays)
    assert (expected.dtype, expected.shape) == (np.float32, (len(arrays), 16))
    assert np.allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)
    assert np.array_equal(model.embed(encoded), expected)
    assert np.array_equal(model.embed([Image.open(io.BytesIO(data)) for data in encoded]), expected)
    assert np.array_equal(
        model.embed([np.dstack([array, np.full_like(array[:, :, 0], 255)]) for array in arrays]), expected
    )
    few = expected[: len(files)]
    for form in (files, [str(file) for file in files], np.array([str(file) for file in files])):
        assert np.array_equal(model.embed(form), few)
    grey = [array[:, :, 0] for array in arrays[: len(files)]]  # the digits are grey
    assert np.array_equal(model.embed(grey), few)
    assert np.array_equal(model.embed(np.stack(arrays[: len(files)])), few)
    assert np.array_equal(model.embed(file for file in files), few)
    for one_image in (files[2], str(files[2]), files[2].read_bytes(), arrays[2], Image.open(files[2])):
        assert np.array_equal(model.embed(one_image), few[2:3])


def test_nothing_gives_no_embeddings(model: Model) -> None:
    assert model.embed([]).shape == (0, 16)
    predictions = model.predict([])
    assert (len(predictions), predictions.to_dict()["items"]) == (0, [])
    with pytest.raises(LookalikeError, match="nothing to draw: no image was given"):
        predictions.figure()


def test_an_unusable_image_is_named_or_noted(model: Model, files: list[Path]) -> None:
    with pytest.raises(ImageError, match=r"^gone\.png: cannot be read \(No such file or directory\)"):
        model.embed([files[0], "gone.png"])
    with pytest.raises(ImageError, match=r"^image 3: expected uint8 \[H, W, 3\], .* got float32 \[8, 8, 3\]"):
        model.embed([files[0], files[1], np.zeros((8, 8, 3), np.float32)])
    noted: dict[int, str] = {}
    done: list[int] = []
    embeddings = model.embed([files[0], b"text", None, files[1]], errors=noted, progress=done.append)  # type: ignore[list-item]
    assert list(noted) == [1, 2]
    assert noted[1].startswith("image 2: not an image, whatever its name says")
    assert noted[2].endswith("got NoneType")
    assert not embeddings[1:3].any()
    assert np.array_equal(embeddings[[0, 3]], model.embed(files[:2]))
    assert sum(done) == 4


def test_one_image_is_predicted_as_among_many(model: Model, files: list[Path]) -> None:
    many = model.predict(files, k=5)
    assert isinstance(many, Predictions)
    assert (many.k, len(many), many.failed) == (5, 20, ())
    assert repr(many) == f"Predictions(20 images by {many.bundle!r}, k=5)"
    for file, among in zip(files, many, strict=True):
        alone = model.predict(file, k=5)
        assert isinstance(alone, Prediction)
        assert alone == among == model.predict(str(file), k=5)
        assert (alone.image, alone.truth) == (str(file), file.parent.name)
    pixels = read_image(files[0])
    nameless = model.predict(pixels, k=5)
    assert (nameless.image, nameless.truth, nameless.neighbours) == ("image 1", None, many[0].neighbours)
    assert repr(nameless).startswith(f"Prediction(image 1: {nameless.label} (")
    assert model.predict(Image.fromarray(pixels), k=5) == model.predict(files[0].read_bytes(), k=5) == nameless


def test_among_several_an_unusable_image_gets_no_label_alone_it_is_refused(model: Model, files: list[Path]) -> None:
    good, bad, array = model.predict([files[0], "gone.png", np.zeros((8, 8))])
    assert good.label is not None
    assert (bad.label, bad.score, bad.neighbours) == (None, None, ())
    assert str(bad).startswith("gone.png: cannot be read")
    assert array.error is not None
    assert array.error.startswith("image 3: expected uint8")
    several = model.predict([files[0], "gone.png"])
    assert repr(several).endswith("k=10, 1 not usable)")
    assert several.figure().size[1] > 2 * 148, "a grey field stands for it"
    with pytest.raises(ImageError, match=r"^gone\.png: cannot be read") as caught:
        model.predict("gone.png")
    assert caught.value.kind == "unreadable"


def test_predictions_are_written_where_a_person_says(model: Model, files: list[Path], tmp_path: Path) -> None:
    written = model.predict(files[:2], k=3).write(str(tmp_path / "predictions"))
    content = json.loads(written.read_text())
    assert [item["image"] for item in content["items"]] == [str(file) for file in files[:2]]
    assert content["bundle"] == str(model.bundle.path)  # type: ignore[union-attr]


def test_a_folder_is_the_images_in_it(model: Model, digits: Path, tmp_path: Path) -> None:
    folder = digits / "test" / "digit 3"
    files = sorted(folder.glob("*.png"))
    for form in (folder, str(folder), [folder]):
        assert list(model.predict(form, k=1)) == list(model.predict(files, k=1))
        assert np.array_equal(model.embed(form), model.embed(files))
    assert [item.image for item in model.predict([files[0], folder], k=1)] == [*map(str, [files[0], *files])]
    assert isinstance(model.predict(files[0]), Prediction)
    gallery = Gallery.create(tmp_path / "shop", model)
    gallery.add(folder)
    assert [item.label for item in gallery.predict(folder, k=1)] == ["digit 3"] * len(files)
    (tmp_path / "empty").mkdir()
    for ask in (model.predict, model.embed, gallery.predict):
        with pytest.raises(PredictError, match=r"empty: no image in this folder: give files or a folder of images$"):
            ask(tmp_path / "empty")


def test_a_checkpoint_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").touch()
    text = r"last\.ckpt: expected the folder of a bundle .*, found a file: a checkpoint is taken by Model\.from_checkp"
    with pytest.raises(BundleError, match=text):
        Model.load(tmp_path / "last.ckpt")
    (tmp_path / "config.json").touch()
    with pytest.raises(BundleError, match=r"found a file: give its folder$"):
        Model.load(tmp_path / "config.json")


def test_a_split_has_the_names_that_its_folder_may_have(bundle_path: Path, digits: Path) -> None:
    model, data = Model.load(bundle_path), Dataset(digits)
    right = model.evaluate(data, "validation")
    for name in ("val", "VALID", " Validation "):
        assert model.evaluate(data, name).to_dict() == right.to_dict()
        assert data.protocol(name).text == data.protocol("validation").text


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"k": 0}, GalleryError, r"^k=0: expected 1 to 50, the number of images in the gallery"),
        ({"k": 51}, GalleryError, r"^k=51: expected 1 to 50"),
        ({"k": "5"}, GalleryError, r"^k='5': expected 1 to 50"),
        (
            {"false_accept_rate": 1.5},
            RejectionError,
            r"^false_accept_rate=1\.5: expected a share above 0 and below 1, such as 0.05, or off",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(
    model: Model, files: list[Path], options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        model.predict(files, **options)


def test_another_process_loads_the_bundle_of_a_model(model: Model, files: list[Path]) -> None:
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.embed(files), model.embed(files))
    assert copy.copy(model).name == model.name
    with pytest.raises(LookalikeError, match="bare: has no bundle that another process could load"):
        pickle.dumps(Model("bare", model.encoder))
    with pytest.raises(LookalikeError, match=r"Model\.load: expected the folder of a bundle .*, got None"):
        Model.load(None)  # type: ignore[arg-type]


def test_without_a_k_ten_are_shown_and_those_vote_that_were_best_on_validation(model: Model, files: list[Path]) -> None:
    assert model.bundle is not None
    voting = model.bundle.config.vote
    assert voting is not None
    predictions = model.predict(files)
    assert predictions.to_dict()["vote"] == {"k": voting.k, "weighted": voting.weighted}
    assert {len(item.neighbours) for item in predictions} == {10}
    right = [
        sum(item.label == item.truth for item in model.predict(sorted((files[0].parents[1]).rglob("*.png")), k=k))
        for k in (None, 1, 10)
    ]
    assert right[0] >= 0.8 * max(right), "chosen on other images"
    assert "vote" not in model.predict(files, k=3).to_dict()


def test_a_false_accept_rate_lets_it_say_unknown(model: Model, files: list[Path]) -> None:
    assert model.bundle is not None
    threshold = model.bundle.threshold(0.05)
    predictions = model.predict(files, k=1, false_accept_rate=0.05)
    assert predictions.threshold == threshold
    for item in predictions:
        assert (item.label == "unknown") == (item.neighbours[0].similarity <= threshold)
    assert "unknown" not in {item.label for item in model.predict(files, k=1)}


def test_evaluation_gives_the_figures_that_training_kept(model: Model, digits: Path) -> None:
    assert model.bundle is not None
    stored = model.bundle.config.metrics["validation"]
    for data in (digits, str(digits), Dataset(digits)):
        assessment = model.evaluate(data)
        assert {**assessment.metrics, "accuracy": None} == {**stored.metrics, "accuracy": None}
        assert assessment.identification.result.protocol == stored.protocol
    accuracy = f"{stored.metrics['accuracy@1']:.4f}"
    assert repr(assessment).startswith(f"Assessment('tiny' on validation, 20 queries: accuracy {accuracy}, map ")
    assert "\nprotocol: 20 queries of split validation, 50 references" in str(assessment)
    assert model.evaluate(digits, "test").metrics["accuracy@1"] == np.mean(
        [item.label == item.truth for item in model.predict(sorted(digits.glob("test/*/*.png")), k=1)]
    )


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"split": "night"},
            LookalikeError,
            r"^split='night': expected train, validation \(also val, valid\) or test$",
        ),
        ({"similarity": "dot"}, EvaluationError, r"expected similarity cosine or euclidean, .*got dot"),
        ({"rerank": "more"}, LookalikeError, r"expected rerank none, k_reciprocal, expand, got more"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    model: Model, digits: Path, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        model.evaluate(digits, **options)


def test_a_bundle_and_its_checkpoint_are_measured_on_the_division_of_their_training(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = sorted((digits / "train").rglob("*.png"))
    lines = [f"{file.relative_to(digits)},{file.parent.name},P{place % 5},{place}" for place, file in enumerate(files)]
    Path("t.csv").write_text("\n".join(["file,who,place,weight", *lines]))
    own = ["data.columns.path=file", "data.columns.label=who", "data.columns.camera=place", f"data.images={digits}"]
    asked = ["data.split=site", "data.validation_share=0.2", "data.test_share=0.2", "data.seed=5"]
    bundle, result = train(
        read_settings("train", [*TINY, "data.root=t.csv", *own, *asked, "run=h", "trainer.max_epochs=1"])
    )
    assert result is not None
    columns = {"path": "file", "label": "who", "camera": "place"}
    data = Dataset("t.csv", columns=columns, images=digits)
    model = Model.load(bundle.path)
    assert (model.held_out.split, model.held_out.test_share) == ("site", 0.2)
    capsys.readouterr()
    again = model.evaluate(data)
    assert "divided by data.split=site (validation share 0.2, test share 0.2, seed 5)" in capsys.readouterr().err
    assert again.identification.result.to_dict() == result.to_dict()
    table = again.table()
    assert table["place"].nunique() == 1 if "place" in table else table["camera_name"].nunique() == 1
    assert set(table["weight"]) == {str(place) for place in range(50) if f"P{place % 5}" == table["camera_name"][0]}
    checkpoint = Model.from_checkpoint(Path("checkpoint/h/best.safetensors"), device="cpu")
    assert checkpoint.held_out == model.held_out
    asks = checkpoint.evaluate(data, "test").protocol.queries["path"].tolist()
    assert asks == model.evaluate(data, "test").protocol.queries["path"].tolist()
    moved = ["data.root=t2.csv", f"data.images={digits}/.", *asked]
    Path("t2.csv").write_text("\n".join(["path,label,camera,kg", *lines]))
    assert train(read_settings("train", [*TINY, *moved, "run=h", "trainer.max_epochs=1"]))[1] is None, "it goes on"


def test_images_held_out_of_training_are_held_out_again(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    shutil.copytree(digits / "train", root / "train")
    folders = (f"models_dir={tmp_path / 'models'}", f"checkpoint_dir={tmp_path / 'checkpoint'}")
    held = (f"data.root={root}", "data.validation_share=0.2", "data.seed=5", "run=h", "trainer.max_epochs=1")
    bundle, result = train(read_settings("train", [*TINY, *folders, *held]))
    assert result is not None
    model = Model.load(bundle.path)
    assert (model.held_out.validation_share, model.held_out.seed) == (0.2, 5)
    assert len(model.references) == 40
    again = model.evaluate(root)
    assert again.identification.result.to_dict() == result.to_dict()
    other = model.evaluate(Dataset(root, validation_share=0.2, seed=6))
    asked = [set(assessment.protocol.queries["path"]) for assessment in (again, other)]
    assert asked[0] != asked[1], "a hold-out of the data set's own stands"
    assert not asked[0] & set(model.references.paths)
    trained_on = len(asked[1] & set(model.references.paths))
    said = capsys.readouterr().err
    assert trained_on
    assert f"{trained_on} of 10 queries are images that h was trained on: figures are too good by these" in said
    model.evaluate(root)
    assert "was trained on" not in capsys.readouterr().err
    checkpoint = Model.from_checkpoint(tmp_path / "checkpoint" / "h" / "best.safetensors")
    assert set(checkpoint.evaluate(root).protocol.queries["path"]) == asked[0], "its checkpoint says so, too"


def test_the_bundled_backbone_embeds_photographs(few_produce: Path) -> None:
    model = Model.pretrained()
    assert repr(model) == "Model('efficientnet_lite0': 1280 dimensions from 224 x 224 pixels, float32)"
    assert model.evaluate(few_produce).metrics["accuracy@1"] > 0.4
    assert model._scratch is not None
    scratch = Path(model._scratch.name)
    assert (scratch / "model.xml").is_file()
    del model
    gc.collect()
    assert not scratch.exists(), "its graph goes with it"


def test_a_gallery_begins_without_training(few_produce: Path, tmp_path: Path) -> None:
    model = Model.pretrained("efficientnet_lite2", workers=1)
    assert repr(model) == "Model('efficientnet_lite2': 1280 dimensions from 260 x 260 pixels, float32)"
    assert model.encoder.workers == 1
    assert (model.about["model.weights"], model.about["pixels.height"]) == ("package", 260)
    with Gallery.create(tmp_path / "shop", model) as gallery:
        gallery.add(few_produce / "train")
    photographs = sorted((few_produce / "validation").rglob("*.jpg"))
    again = Model.pretrained("efficientnet_lite2")
    with Gallery.open(tmp_path / "shop", again) as gallery:
        named = gallery.predict(photographs)
    right = [item.label == file.parent.name for item, file in zip(named, photographs, strict=True)]
    assert np.mean(right) > 0.4
    assert again.evaluate(few_produce).metrics["accuracy@1"] > 0.4
    with pytest.raises(LookalikeError, match=r"^efficientnet_lite2: knows no images: put some into a Gallery"):
        model.predict(photographs[0])
    with pytest.raises(LookalikeError, match="different weights or pixel settings cannot be compared"):
        Gallery.open(tmp_path / "shop", Model.pretrained("efficientnet_lite2", pixels={"height": 240}))


def test_a_network_without_training_is_one_of_the_recipes() -> None:
    with pytest.raises(LookalikeError, match=r"^Model\.pretrained\('lite0'\): expected one of .*; did you mean effic"):
        Model.pretrained("lite0")
    with pytest.raises(LookalikeError, match=r"^device='tpu': expected one of auto, cpu, cuda"):
        Model.pretrained(device="tpu")  # type: ignore[arg-type]
    with pytest.raises(LookalikeError, match="workers=-1: expected the number of threads"):
        Model.pretrained(workers=-1)


WITHOUT = """
import sys
sys.modules["torch"] = sys.modules["timm"] = sys.modules["cleanlab"] = None
from lookalike import LookalikeError, Model, audit, train
model = Model.load(sys.argv[1])
print(model.embed([sys.argv[2]]).shape, model.predict(sys.argv[2], k=1).label)
for needs in (
    Model.pretrained,
    lambda: Model.from_checkpoint("x.ckpt"),
    lambda: train(sys.argv[3]),
    lambda: Model.load(sys.argv[1], device="cuda"),
    lambda: audit(sys.argv[3]),
    lambda: audit(sys.argv[3], bundle=sys.argv[1]),
):
    try:
        needs()
    except LookalikeError as error:
        print(error)
"""


def test_without_torch_a_bundle_works_and_the_rest_says_what_to_install(
    bundle_path: Path, digits: Path, files: list[Path], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", WITHOUT, str(bundle_path), str(files[0]), str(digits)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("(1, 16) digit "), done.stderr
    assert [line.split(": pip install")[0] for line in lines[1:4]] == [
        "Model.pretrained needs the package torch",
        "Model.from_checkpoint needs the package torch",
        "train needs the package torch",
    ], done.stderr
    assert all(line.endswith("[train]'") for line in lines[1:4])
    assert lines[4].startswith("device=cuda needs torch (")
    assert (
        lines[5] == f"audit without bundle= needs the package torch: pip install '{Path(__file__).parents[1]}[train]'"
    ), done.stderr
    assert lines[6] == f"audit needs the package cleanlab: pip install '{Path(__file__).parents[1]}[audit]'", (
        done.stderr
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [-1, 1.5, "4"])
def test_threads_that_cannot_be_are_refused(bundle_path: Path, workers: Any) -> None:
    with pytest.raises(LookalikeError, match=r"workers=.*: expected the number of threads that read images"):
        Model.load(bundle_path, workers=workers)
