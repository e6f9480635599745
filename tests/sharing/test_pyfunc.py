"""A bundle as MLflow calls it."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest

from lookalike.model import Model
from lookalike.sharing.travel import push


def test_mlflow_calls_the_bundle_with_bytes(bundle_path: Path, digits: Path, store: str, here: Path) -> None:
    push(bundle_path, "mlflow://digits", data_license="mit", uri=store)
    source = mlflow.MlflowClient(store, store).get_model_version_download_uri("digits", "1")
    loaded = mlflow.pyfunc.load_model(source)
    files = sorted((digits / "test" / "digit 3").iterdir())[:2]
    images = pd.DataFrame({"image": [*(file.read_bytes() for file in files), b"no image"]})
    answer = loaded.predict(images, params={"k": 3, "embeddings": True})
    own = Model.load(bundle_path)
    expected = own.predict(files, k=3)
    assert list(answer["label"]) == [*(prediction.label for prediction in expected), ""]
    assert answer["neighbours"][0] == [neighbour.label for neighbour in expected[0].neighbours]
    assert answer["similarities"][1] == pytest.approx([neighbour.similarity for neighbour in expected[1].neighbours])
    assert answer["embedding"][0] == pytest.approx(own.embed(files[0])[0].tolist())
    assert list(answer["error"] != "") == [False, False, True]
    assert "embedding" not in loaded.predict(images)
    with pytest.raises(Exception, match="image"):
        loaded.predict(pd.DataFrame({"photo": [b"x"]}))
