"""What is counted, as Prometheus reads it."""

from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from lookalike import Client
from services import Running

LABELS = ("route", "method", "status", "action", "le")


def figures(served: Running) -> dict[tuple[str, ...], float]:
    """Name and values of labels -> figure."""
    answer = requests.get(f"{served.address}metrics", timeout=30)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, *(sample.labels[label] for label in LABELS if label in sample.labels)): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_is_asked_and_changed_is_counted(served: Running, digits: Path) -> None:
    files = sorted((digits / "test" / "digit 1").iterdir())
    client = Client(served.address)
    before = figures(served)
    client.predict(files, threshold=1.0)
    client.embed(files[0])
    client.add(files[0], "new")
    client.rename("new", "newer")
    client.remove(label="newer")
    requests.get(f"{served.address}no/such", timeout=30)
    requests.request("BREW", f"{served.address}no/such", timeout=30)
    after = figures(served)

    def more(*name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    assert more("lookalike_images_total") == len(files) + 2
    assert more("lookalike_unknown_images_total") == len(files)
    for action in ("add", "rename", "remove"):
        assert more("lookalike_gallery_changes_total", action) == 1
    assert more("lookalike_requests_total", "/v1/predict", "POST", "200") == 1
    assert more("lookalike_requests_total", "other", "GET", "404") == 1
    assert more("lookalike_requests_total", "other", "other", "404") == 1
    assert more("lookalike_request_seconds_count", "/v1/predict") == 1
    assert after["lookalike_request_seconds_bucket", "/v1/predict", "+Inf"] >= 1
    assert after["lookalike_gallery_images",] == 50
    assert after["lookalike_gallery_labels",] == 5
    assert after["lookalike_requests_inside",] == 0


def test_addresses_of_clients_make_no_figures(served: Running) -> None:
    for number in range(20):
        requests.get(f"{served.address}v1/images/{number + 1000}/thumbnail", timeout=30)
        requests.get(f"{served.address}{number}", timeout=30)
    names = [name for name in figures(served) if name[0] == "lookalike_requests_total"]
    assert len(names) < 8
