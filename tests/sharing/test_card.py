"""The card that the Hub reads."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from lookalike.inference.bundle import CARD, Bundle, load_bundle
from lookalike.sharing.card import hub_card, licences_of
from lookalike.sharing.prepared import prepare


@pytest.fixture
def bundle(bundle_path: Path) -> Bundle:
    return load_bundle(bundle_path)


def test_the_hub_reads_licence_task_and_figures(bundle: Bundle) -> None:
    card = ModelCard(
        hub_card(bundle, "fruits", licences_of(bundle, "cc-by-4.0", None, None)), ignore_metadata_errors=False
    )
    data = card.data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "cc-by-4.0",
        "lookalike",
        "image-feature-extraction",
    )
    measured = bundle.config.metrics["validation"].metrics
    results = {result.metric_name: result.metric_value for result in data.eval_results}
    assert results["accuracy@1"] == pytest.approx(measured["accuracy@1"], abs=1e-6)
    assert results["mAP"] == pytest.approx(measured["map"], abs=1e-6)
    assert {result.dataset_split for result in data.eval_results} == {"validation"}
    assert "(digits): cc-by-4.0." in card.text or "): cc-by-4.0." in card.text
    assert "## Validation" in card.text


def test_a_licence_in_words_is_another_one_for_the_hub(bundle: Bundle) -> None:
    card = ModelCard(hub_card(bundle, "fruits", licences_of(bundle, "Ours, ask first", "mit", "shelves of 2026")))
    assert card.data.license == "mit"
    assert "- The photographs it learnt from (shelves of 2026): Ours, ask first.\n- This model: mit." in card.text
    words = ModelCard(hub_card(bundle, "fruits", licences_of(bundle, "Ours, ask first", None, None)))
    assert (words.data.license, words.data.license_name) == ("other", "Ours, ask first")


def test_a_card_of_the_hub_is_renewed_and_keeps_what_people_wrote(bundle: Bundle, tmp_path: Path) -> None:
    first = hub_card(bundle, "fruits", licences_of(bundle, "cc-by-4.0", None, None))
    again = prepare(bundle, tmp_path / "again", f"{first}\n## Thanks\n\nto the shops.\n")
    renewed = hub_card(again, "fruits", licences_of(again, "mit", None, None))
    assert renewed.count("## Licences") == renewed.count("license:") == 1
    assert "cc-by-4.0" not in renewed
    assert "## Thanks\n\nto the shops." in renewed


def test_what_travels_is_the_bundle_alone_without_logins(bundle: Bundle, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(bundle.path, own)
    (own / "notes.txt").write_text("private")
    settings = {**bundle.config.training.settings, "logger": {"mlflow": {"uri": "https://me:s3cret@tracker/x"}}}
    training = bundle.config.training.model_copy(update={"settings": settings})
    from lookalike.inference.bundle_writer import BundleParts, write_bundle

    config = bundle.config.model_copy(update={"training": training})
    made = write_bundle(
        tmp_path / "made", config, BundleParts(bundle.weights, bundle.graph, bundle.references, "# made\n")
    )
    sent = prepare(made, tmp_path / "sent", "# sent\n")
    assert sent.fingerprint == bundle.fingerprint
    assert (sent.path / CARD).read_text() == "# sent\n"
    assert "s3cret" not in (sent.path / "config.json").read_text()
    assert sent.config.training.settings["logger"]["mlflow"]["uri"] == "https://tracker/x"
    assert not (prepare(load_bundle(own), tmp_path / "third", "# x\n").path / "notes.txt").exists()
