"""MLflow's registry: a real server, and the file that training logs into."""

import os
from pathlib import Path

import mlflow
import pytest

from lookalike.cli.main import main
from lookalike.inference.bundle import load_bundle
from lookalike.sharing.places import SharingError
from lookalike.sharing.registry import uri_of
from lookalike.sharing.travel import pull, push


def test_a_real_server_keeps_versions_and_serves_them_without_torch(
    bundle_path: Path, digits: Path, mlflow_server: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["place=mlflow://digits@champion", f"uri={mlflow_server}"]
    assert main(["push", f"bundle={bundle_path}", *places, "data_license=mit"]) == 0
    assert "pushed: mlflow://digits/1  (8 files, " in capsys.readouterr().out
    assert push(bundle_path, "mlflow://digits", data_license="cc0-1.0", uri=mlflow_server).place == "mlflow://digits/2"
    assert main(["pull", *places, "output=first"]) == 0
    assert "(from mlflow://digits/1, fingerprint " in capsys.readouterr().out
    assert "license: mit" in (here / "first" / "README.md").read_text()
    assert pull("mlflow://digits", here / "latest", uri=mlflow_server).place == "mlflow://digits/2"
    assert load_bundle(here / "first").fingerprint == load_bundle(bundle_path).fingerprint
    client = mlflow.MlflowClient(mlflow_server, mlflow_server)
    version = client.get_model_version("digits", "2")
    assert version.tags == {
        "fingerprint": load_bundle(bundle_path).fingerprint,
        "data_license": "cc0-1.0",
        "license": "cc0-1.0",
    }
    assert client.get_run(version.run_id).info.status == "FINISHED"
    for problem, place in (
        (r"^mlflow://digits@nobody: .*Registered model alias nobody not found", "mlflow://digits@nobody"),
        (r"^mlflow://digits/9: .*not found", "mlflow://digits/9"),
        (
            r"^mlflow://fruits: no version of it is stored: lookalike push place=mlflow://fruits stores one",
            "mlflow://fruits",
        ),
    ):
        with pytest.raises(SharingError, match=problem) as raised:
            pull(place, here / "none", uri=mlflow_server)
        assert "\n" not in str(raised.value)
    assert not (here / "none").exists()


def test_nothing_of_mlflow_in_this_process_is_changed(
    bundle_path: Path, store: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shelves")
    before = (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), dict(os.environ))
    push(bundle_path, "mlflow://digits", data_license="mit", uri=store)
    pull("mlflow://digits/1", here / "own", uri=store)
    after = (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), dict(os.environ))
    assert {name: value for name, value in after[2].items() if "MLFLOW" in name} == {
        name: value for name, value in {**after[2], **before[2]}.items() if "MLFLOW" in name
    }
    assert after[:2] == before[:2]
    assert mlflow.MlflowClient(store).get_experiment_by_name("shelves") is not None


def test_the_latest_of_many_versions_is_the_one_with_the_highest_number(
    bundle_path: Path, store: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lookalike.sharing import registry

    monkeypatch.setattr(registry, "_PAGE", 2)
    push(bundle_path, "mlflow://digits", data_license="mit", uri=store)
    client = mlflow.MlflowClient(store, store)
    first = client.get_model_version("digits", "1")
    for _ in range(11):
        client.create_model_version("digits", first.source, run_id=first.run_id)
    client.update_model_version("digits", "3", description="touched last")
    assert pull("mlflow://digits", here / "own", uri=store).place == "mlflow://digits/12"


def test_what_another_program_stored_is_not_even_fetched(store: str, here: Path) -> None:
    class Foreign(mlflow.pyfunc.PythonModel):
        def predict(self, context: object, model_input: list[str]) -> list[str]:
            return model_input

    mlflow.pyfunc.save_model(here / "foreign", python_model=Foreign(), pip_requirements=[])
    client = mlflow.MlflowClient(store, store)
    client.create_registered_model("foreign")
    client.create_model_version("foreign", str(here / "foreign"))
    (here / "foreign" / "python_model.pkl").write_bytes(b"cos\nabort\n(tR.")
    with pytest.raises(
        SharingError, match=r"found a model of another program \(loader mlflow\.pyfunc\.model\): give a"
    ):
        pull("mlflow://foreign", here / "own", uri=store)
    assert not (here / "own").exists()


def test_a_store_that_cannot_be_used(bundle_path: Path, store: str, here: Path) -> None:
    with pytest.raises(SharingError, match=r"^mlflow://digits: http://127\.0\.0\.1:9: no answer within 8 s") as raised:
        push(bundle_path, "mlflow://digits", data_license="mit", uri="http://me:s3cret@127.0.0.1:9")
    assert "s3cret" not in str(raised.value)
    with pytest.raises(SharingError, match=r"^place=mlflow://digits/3: MLflow numbers versions itself: leave out /3"):
        push(bundle_path, "mlflow://digits/3", data_license="mit", uri=store)


def test_a_refused_alias_registers_nothing(bundle_path: Path, store: str, here: Path) -> None:
    with pytest.raises(SharingError, match="MLflow keeps this alias for itself"):
        push(bundle_path, "mlflow://digits@v1", data_license="mit", uri=store)
    assert not (here / "registry.db").exists()


def test_which_store_is_meant(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert uri_of(None) == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert uri_of(None) == "http://tracker:5000"
    assert uri_of("sqlite:///own.db") == "sqlite:///own.db"
    with pytest.raises(
        SharingError, match=r"^uri=own\.db: expected an address: write uri=sqlite:///own\.db, or http://"
    ):
        uri_of("own.db")


def test_what_is_of_another_place_and_a_store_that_is_not_there(bundle_path: Path, here: Path) -> None:
    with pytest.raises(SharingError, match=r"^hf://shop/digits: uri= is the store of mlflow:// places: leave it out"):
        pull("hf://shop/digits", here / "own", uri="sqlite:///own.db")
    with pytest.raises(SharingError, match=r"^mlflow://digits: private= is of repositories of the Hub: leave it out"):
        push(bundle_path, "mlflow://digits", data_license="mit", private=True)
    with pytest.raises(SharingError, match=r"^mlflow://digits: sqlite:///typo\.db: no such file, so nothing is stored"):
        pull("mlflow://digits", here / "own", uri="sqlite:///typo.db")
    assert not list(here.iterdir())
