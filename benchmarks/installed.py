"""What an installation holds: a fresh environment with lookalike and, if asked for, extras; a line for each package.

python benchmarks/installed.py [extra ...]

Bytes are those of the files that a package's own list names, compiled modules included.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LEAST = 1.0  # MB of a package that has a line of its own
_SIZES = """
import json
from importlib.metadata import distributions
sizes = {}
for package in distributions():
    files = [package.locate_file(file) for file in package.files or []]
    sizes[package.metadata["Name"]] = sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps(sizes))
"""


def sizes_of(extras: list[str]) -> dict[str, int]:
    """Bytes of every package of a fresh environment, pip's own aside.

    Args:
        extras: Of lookalike.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        wanted = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
        subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], check=True, stderr=sys.stderr)
        done = subprocess.run([python, "-c", _SIZES], check=True, capture_output=True, text=True)
    sizes: dict[str, int] = json.loads(done.stdout)
    return {name: size for name, size in sizes.items() if name not in ("pip", "setuptools")}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="*")
    sizes = sizes_of(parser.parse_args().extras)
    print("| package | MB |\n|---|--:|")
    small = {name: size for name, size in sizes.items() if size < _LEAST * 1e6}
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1]):
        if name not in small:
            print(f"| {name} | {size / 1e6:.0f} |")
    print(f"| {len(small)} smaller ones | {sum(small.values()) / 1e6:.0f} |")
    print(f"| **together** | **{sum(sizes.values()) / 1e6:.0f}** |")


if __name__ == "__main__":
    main()
