"""The verbs that train, as a person types them."""

import os
import subprocess
import sys
from pathlib import Path

from runs import arguments


def test_main_py_is_the_same_command(digits: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "main.py"
    command = [sys.executable, str(script), *arguments(digits, "r", "trainer.max_epochs=1")[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert "bundle: models/r" in done.stdout
    assert "validation accuracy@1" in done.stderr
