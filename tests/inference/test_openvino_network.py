"""A graph on this processor, asked by many threads."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lookalike.data.pixels import PixelSettings
from lookalike.devices import openvino_core
from lookalike.errors import LookalikeError
from lookalike.inference.openvino_network import NetworkError, OpenVinoNetwork, save_graph


def test_one_engine_however_many_threads_ask(bundle_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({id(engine) for engine in pool.map(lambda _: openvino_core(), range(64))}) == 1


def test_the_first_inference_is_made_by_one_thread(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that come first at once lock each other out for ever inside OpenVINO's Python part."""
    import threading

    from openvino import InferRequest

    seen: list[str] = []
    inner = InferRequest.infer

    def infer(self: InferRequest, *given: object, **options: object) -> object:
        seen.append(threading.current_thread().name)
        return inner(self, *given, **options)

    monkeypatch.setattr(InferRequest, "infer", infer)
    OpenVinoNetwork(bundle_path / "model.xml")
    assert seen == [threading.current_thread().name]


def test_a_batch_of_one_size_gives_unit_embeddings_in_either_precision(bundle_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    exact = OpenVinoNetwork(bundle_path / "model.xml", "float32")
    assert exact.batch == 2
    embeddings = exact(images)
    assert (embeddings.dtype, embeddings.shape) == (np.float32, (2, 16))
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert np.array_equal(exact(images[::-1].copy())[::-1], embeddings), "places do not matter"
    quick = OpenVinoNetwork(bundle_path / "model.xml", "bf16")(images)
    assert (quick * embeddings).sum(1).min() > 0.99
    assert np.allclose(np.linalg.norm(quick, axis=1), 1, atol=1e-5), "the last normalisation is float32"


def test_what_it_gave_stays_when_it_is_asked_again(bundle_path: Path) -> None:
    network = OpenVinoNetwork(bundle_path / "model.xml")
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (2, 32, 32, 3), np.uint8) for _ in range(2)]
    first = network(images[0])
    kept = first.copy()
    network(images[1])
    assert np.array_equal(first, kept), "no view of memory that is written again"


def test_many_threads_get_what_one_thread_gets(bundle_path: Path) -> None:
    network = OpenVinoNetwork(bundle_path / "model.xml")
    random = np.random.default_rng(2)
    images = [random.integers(0, 256, (2, 32, 32, 3), np.uint8) for _ in range(40)]
    expected = [network(batch) for batch in images]
    with ThreadPoolExecutor(8) as pool:
        for embeddings, alone in zip(pool.map(network, images), expected, strict=True):
            assert np.array_equal(embeddings, alone)


def test_a_graph_is_compared_with_what_its_bundle_says(bundle_path: Path) -> None:
    graph = bundle_path / "model.xml"
    OpenVinoNetwork(graph, "float32", PixelSettings(32, 32), 16)
    text = r"model\.xml: expected float32 embeddings \[2, 9\] of length 1, found float32 \[2, 16\] of lengths .*: copy"
    with pytest.raises(NetworkError, match=text):
        OpenVinoNetwork(graph, "float32", PixelSettings(32, 32), 9)
    text = r"model\.xml: expected images uint8 \['B', 33, 32, 3\] and one output, found \['u8'\] .* and 1 outputs: copy"
    with pytest.raises(NetworkError, match=text):
        OpenVinoNetwork(graph, "float32", PixelSettings(33, 32), 16)


def test_a_graph_that_openvino_cannot_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("<net/>")
    with pytest.raises(
        NetworkError, match=r"^.*model\.xml: not a graph that OpenVINO runs \(.*\): copy the bundle again"
    ):
        OpenVinoNetwork(tmp_path / "model.xml")


SAVE = """
import resource, signal, sys
from pathlib import Path
from lookalike.devices import openvino_core
from lookalike.files import DiskFullError
from lookalike.inference.openvino_network import save_graph

graph = openvino_core().read_model(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    save_graph(graph, Path(sys.argv[2]))
except DiskFullError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 1_000, 20_000])
def test_a_full_disk_is_told_when_a_graph_is_saved(bundle_path: Path, tmp_path: Path, room: int) -> None:
    """A limit on file size stands for a full disk: at 20 kB a part of the graph fits, its weights do not."""
    file = tmp_path / "model.xml"
    command = [sys.executable, "-c", SAVE, str(bundle_path / "model.xml"), str(file), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{file}: no space left to write it" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_a_graph_that_cannot_be_written_is_explained(bundle_path: Path, tmp_path: Path) -> None:
    graph = openvino_core().read_model(bundle_path / "model.xml")
    (tmp_path / "model.xml").mkdir()
    with pytest.raises(LookalikeError, match=r"model\.xml: (OpenVINO cannot write the graph|no space left)"):
        save_graph(graph, tmp_path / "model.xml")
