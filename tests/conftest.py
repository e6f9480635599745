"""Data for the tests: real photographs when LOOKALIKE_TEST_DATA names them, scikit-learn's digits otherwise."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from made_layouts import Pictures
from made_retrieval import Photographs
from object_store import Store, point_to, running_store

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Waiting for the disk guards against a power failure alone, which no test can make; started processes do wait.
os.fsync = lambda descriptor: None
# What is measured about this machine is kept apart from the user's own, and is the same for a test's processes.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="lookalike-tests-")

# Files whose tests run in one process, because what they share takes long to make.
TOGETHER = {
    "tests/auditing/test_accepted.py": "spoilt photographs",
    "tests/auditing/test_audit.py": "spoilt photographs",
    "tests/evaluation/test_by_ray.py": "cluster of Ray",
    "tests/export/test_int8.py": "quantized",
    "tests/models/test_gathered.py": "two processes",
    "tests/models/test_synced_norms.py": "two processes",
    "tests/models/test_world.py": "two processes",
    "tests/packaging/test_wheel.py": "installed",
    "tests/test_metric_learning.py": "trained on people",
}

TINY = (
    "model=timm",
    "model.backbone=test_resnet",
    "model.weights=none",
    "model.embedding_size=16",
    "pixels.height=32",
    "pixels.width=32",
    "trainer.max_epochs=2",
    "trainer.batch_size=8",
    "trainer.workers=0",
    "trainer.threads=1",
    "trainer.device=cpu",
    "trainer.precision=32-true",  # what is quickest depends on what else the machine does
    "online.crop_area=0.8",
    "online.flip=false",
    "logger=none",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests go to whichever process is free, but those of `TOGETHER` stay together."""
    from xdist.scheduler import LoadScopeScheduling

    class ByCost(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return TOGETHER.get(nodeid.partition("::")[0], nodeid)

    return ByCost(config, log)


def _photographs(name: str) -> Path:
    where = os.environ.get("LOOKALIKE_TEST_DATA")
    if not where:
        pytest.skip("set LOOKALIKE_TEST_DATA to a folder with grocery-produce/ to run the tests on photographs")
    folder = Path(where).resolve() / name
    assert folder.is_dir(), f"LOOKALIKE_TEST_DATA={where} has no folder {name}"
    return folder


@pytest.fixture(scope="session")
def produce() -> Path:
    """The shared grocery photographs, read-only."""
    return _photographs("grocery-produce")


@pytest.fixture(scope="session")
def omniglot_market() -> Path:
    """Shared handwritten characters in Market-1501's layout, read-only."""
    return _photographs("omniglot-market")


@pytest.fixture(scope="session")
def pictures(omniglot_market: Path) -> Pictures:
    """Real images for the small data sets of `made_layouts`."""
    return Pictures(sorted((omniglot_market / "query").glob("*.jpg"))[:12])


@pytest.fixture(scope="session")
def photographs(produce: Path) -> Photographs:
    """Real photographs for the small data sets of `made_retrieval`."""
    return Photographs(sorted((produce / "train").glob("*/*.jpg"))[::100])


@pytest.fixture(scope="session")
def few_produce(produce: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve classes of them, up to twelve training images each."""
    root = tmp_path_factory.mktemp("produce")
    for split, most in (("train", 12), ("validation", 5), ("test", 3)):
        for folder in sorted((produce / "validation").iterdir())[::3][:12]:
            (root / split / folder.name).mkdir(parents=True)
            for file in sorted((produce / split / folder.name).iterdir())[:most]:
                shutil.copyfile(file, root / split / folder.name / file.name)
    return root


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five digits, ten training, four validation and four test images each, 32 x 32 PNG."""
    root = tmp_path_factory.mktemp("digits")
    data = load_digits()
    for label in range(5):
        rows = np.flatnonzero(data.target == label)
        for split, part in (("train", rows[:10]), ("validation", rows[10:14]), ("test", rows[14:18])):
            folder = root / split / f"digit {label}"
            folder.mkdir(parents=True)
            for row in part:
                image = cv2.resize((data.images[row] * 255 / 16).astype(np.uint8), (32, 32))
                cv2.imwrite(str(folder / f"{row:04d}.png"), image)
    return root


@pytest.fixture(scope="session")
def bundle_path(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle trained for two epochs on the digits; copy it before changing it."""
    from lookalike.cli.arguments import read_settings
    from lookalike.training.run import train

    home = tmp_path_factory.mktemp("trained")
    folders = (f"models_dir={home / 'models'}", f"checkpoint_dir={home / 'checkpoint'}")
    bundle, result = train(read_settings("train", [f"data.root={digits}", "run=tiny", *folders, *TINY]))
    assert result is not None
    return bundle.path


@pytest.fixture(scope="session")
def tables_of_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow, which makes its tables in seconds."""
    from lookalike.training.mlflow_database import ready_database

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    ready_database(f"sqlite:///{file}")
    return file


@pytest.fixture
def quick_mlflow(tables_of_mlflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new database is a copy of that one, for tests of what is recorded in it."""
    from lookalike.training import mlflow_database

    monkeypatch.setattr(mlflow_database, "_make", lambda path: shutil.copyfile(tables_of_mlflow, path))


@pytest.fixture(scope="session")
def few_market(omniglot_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Part of the hand-written characters in Market-1501's layout: 40 people to train on, 25 to test, some junk."""
    root = tmp_path_factory.mktemp("market")
    for folder, people in (("bounding_box_train", 40), ("bounding_box_test", 25), ("query", 25)):
        files = sorted((omniglot_market / folder).glob("*.jpg"))
        names = sorted({file.name.partition("_")[0] for file in files} - {"-1", "0000"})[:people]
        (root / folder).mkdir()
        for place, file in enumerate(files):
            label = file.name.partition("_")[0]
            if label in names or (label in ("-1", "0000") and place % 4 == 0):
                shutil.copyfile(file, root / folder / file.name)
    return root


@pytest.fixture(scope="session")
def _object_store() -> Iterator[Store]:
    with running_store() as store:
        yield store


@pytest.fixture
def object_store(_object_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An object store that the environment leads to, empty."""
    point_to(_object_store.address, monkeypatch)
    for name in _object_store.names():
        _object_store.delete(name)
    return _object_store
