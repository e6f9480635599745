"""NNCF is loaded without its telemetry, and says what is missing."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lookalike.data.manifest import Manifest
from lookalike.data.reading import read_manifest
from lookalike.export import nncf_int8
from lookalike.export.int8 import quantize
from lookalike.export.nncf_int8 import QuantizeError
from lookalike.inference.bundle import load_bundle

pytest.importorskip("nncf", reason="pip install 'lookalike[int8]'")


def test_without_nncf_it_says_what_to_install(
    bundle_path: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(QuantizeError, match=r"^int8 needs nncf \(.*nncf.*\): pip install '[^']*\[int8\]'$"):
        quantize(load_bundle(bundle_path), manifest, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_telemetry_is_absent_only_while_nncf_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = ModuleType("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", somebody)
    with nncf_int8._unheard(), pytest.raises(ImportError, match="openvino_telemetry"):
        importlib.import_module("openvino_telemetry")
    assert sys.modules["openvino_telemetry"] is somebody


QUIET = """
import os, socket, sys
from pathlib import Path
def nobody(*arguments, **named):
    print("SENT", arguments[1:], flush=True)
    raise OSError("no network in this test")
socket.socket.connect = socket.getaddrinfo = nobody
{before}
print("OURS", flush=True)
from lookalike.inference.bundle import load_bundle
from lookalike.data.reading import read_manifest
from lookalike.export.int8 import quantize
manifest = read_manifest(Path({data!r}))
made, found = quantize(load_bundle(Path({bundle!r})), manifest, Path({out!r}), images=5, max_loss=1.0)
print("LOADED", "torch" in sys.modules and sys.modules["torch"] is not None, len(made.references))
"""


def in_a_process_of_its_own(before: str, bundle: Path, data: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Without pytest, in whose presence NNCF is silent by itself, and without CI in the environment."""
    code = QUIET.format(before=before, bundle=str(bundle), data=str(data), out=str(home / "out"))
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    environment = {**kept, "HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)


def test_nothing_is_sent_and_torch_is_not_needed(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    done = in_a_process_of_its_own("sys.modules['torch'] = None", bundle_path, digits, tmp_path)
    assert "LOADED False 50" in done.stdout, done.stderr
    assert "SENT" not in done.stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]  # no ~/intel with an identity in it
    assert "Statistics collection" not in done.stdout + done.stderr


@pytest.mark.slow
def test_nothing_is_sent_where_nncf_was_loaded_before(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    """Telemetry is alive then, and OpenVINO reports that it was loaded, which shows that this test can hear it."""
    loaded = "sys.modules['torch'] = None\nimport nncf, time\nfrom nncf.telemetry import decorator"
    alive = f"{loaded}\nprint(decorator.telemetry)\ntime.sleep(2)"
    done = in_a_process_of_its_own(alive, bundle_path, digits, tmp_path)
    others, _, ours = done.stdout.partition("OURS")
    assert "NNCFTelemetry object" in others, done.stderr
    assert "SENT" in others
    assert (tmp_path / "intel" / "openvino_ga_cid").is_file()
    assert "LOADED False 50" in ours, done.stderr
    assert "SENT" not in ours


@pytest.fixture(scope="session")
def manifest(digits: Path) -> Manifest:
    return read_manifest(digits)
