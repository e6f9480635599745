"""A graph on this processor, asked by many threads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lookalike.devices import openvino_core


def test_one_engine_however_many_threads_ask(bundle_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({id(engine) for engine in pool.map(lambda _: openvino_core(), range(64))}) == 1


def test_the_first_inference_is_made_by_one_thread(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that come first at once lock each other out for ever inside OpenVINO's Python part."""
    import threading

    from openvino import InferRequest

    from lookalike.inference.openvino_network import OpenVinoNetwork

    seen: list[str] = []
    inner = InferRequest.infer

    def infer(self: InferRequest, *given: object, **options: object) -> object:
        seen.append(threading.current_thread().name)
        return inner(self, *given, **options)

    monkeypatch.setattr(InferRequest, "infer", infer)
    OpenVinoNetwork(bundle_path / "model.xml")
    assert seen == [threading.current_thread().name]
