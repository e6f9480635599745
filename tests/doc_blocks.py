"""The code of the pages of the documentation: which of it a test runs, and why the rest is not run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {
    file.relative_to(ROOT).as_posix(): file
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if file.parent.name not in ("comparison",)
}
RUN = {  # (page, kind of code) -> the test that runs it
    ("docs/evaluation.md", "examples"): "tests/test_docs.py",
    ("docs/python.md", "examples"): "tests/test_docs.py",
    ("docs/gallery.md", "examples"): "tests/test_gallery_story.py",
    ("docs/gallery.md", "shell"): "tests/test_gallery_story.py",
    ("docs/serving.md", "shell"): "tests/test_docs.py, its curl lines; a service that listens for ever is not started",
}
NOT_RUN = {  # (page, kind of code) -> why not; the settings of its commands are read all the same
    ("README.md", "shell"): "hours on data of the reader; its verbs are run by tests/cli on small data",
    ("README.md", "python"): "the same calls are run from docs/python.md",
    ("docs/audit.md", "shell"): "a minute on all photographs; the verb is run by tests/cli/test_data_verbs.py",
    ("docs/checkpoints.md", "shell"): "checkpoints of other projects, which are made by tests/recognition",
    ("docs/data.md", "shell"): "tables of the reader; each layout is read by tests/data",
    ("docs/evaluation.md", "shell"): "published data sets; their layouts are made and measured by tests/evaluation",
    ("docs/serving.md", "python"): "the same calls are run from docs/python.md",
    ("docs/hub.md", "shell"): "the Hub and servers of the reader; the same commands are run by tests/sharing",
    ("docs/hub.md", "python"): "a registry of the reader; the same call is run by tests/sharing/test_pyfunc.py",
    (
        "docs/explain.md",
        "shell",
    ): "a bundle of minutes of training; the verb is run so by tests/cli/test_predict_verb.py",
    ("docs/explain.md", "python"): "the same calls are run by tests/inference/test_explaining.py and test_explained.py",
    (
        "docs/export.md",
        "shell",
    ): "a bundle of the reader; the same verb, reader and page are run by tests/test_examples.py",
    ("docs/losses.md", "shell"): "hours of training",
    ("docs/python.md", "python"): "needs a PostgreSQL server: tests/gallery has one",
    ("docs/reidentification.md", "shell"): "half an hour of training",
    ("docs/reidentification.md", "python"): "the same call is run from docs/evaluation.md",
    ("docs/scale.md", "shell"): "clusters and object stores; shards are written by tests/evaluation and tests/cli",
    ("docs/scale.md", "python"): "arrays of the reader; the function is compared by tests/metrics",
    ("docs/training.md", "shell"): "minutes to hours of training",
    ("docs/start.md", "shell"): "the same commands are run from docs/gallery.md; make install takes minutes",
    ("docs/schemas/README.md", "shell"): "the same command is run by tests/test_terminal.py",
    ("docs/guides/photographs.md", "shell"): "minutes of training",
    ("docs/guides/fruits.md", "shell"): "minutes of training",
    ("docs/guides/fruits.ru.md", "shell"): "minutes of training",
    ("docs/guides/market1501.md", "shell"): "a quarter of an hour of training",
    ("docs/guides/market1501.ru.md", "shell"): "a quarter of an hour of training",
    ("docs/guides/wildlife.md", "shell"): "the data is made; the verbs are run from docs/gallery.md",
}
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^|\n)\n((?:    \S.*\n(?:\n(?=    ))?)+)")
_COMMAND = re.compile(r"^(?:\$ )?((?:\.venv/bin/)?(?:lookalike|python (?:main|eval|predict)\.py|make|curl|pip)\b.*)$")
_PYTHON = re.compile(r"^(from|import) \w+", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    page: str
    kind: str  # examples (with outputs), python, shell, or empty for what nobody types
    text: str

    @property
    def commands(self) -> list[str]:
        """Those of a shell, in their order; lines that go on are one."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line[1] for line in map(_COMMAND.match, lines) if line]


def blocks() -> Iterator[Block]:
    """Every block of every page."""
    for page, file in PAGES.items():
        text = file.read_text(encoding="utf-8")
        for language, code in _FENCED.findall(text):
            yield _block(page, language, code)
        for code in _INDENTED.findall(_FENCED.sub("\n", text)):
            yield _block(page, "", re.sub(r"(?m)^    ", "", code))


def _block(page: str, language: str, code: str) -> Block:
    if ">>> " in code:
        return Block(page, "examples", code)
    if language == "python" or (not language and _PYTHON.search(code)):
        return Block(page, "python", code)
    shell = Block(page, "shell", code)
    return shell if shell.commands else Block(page, "", code)


def arguments_of(command: str) -> list[str]:
    """What `main` is given for a command of lookalike; empty for those of other programs.

    What the reader is to fill in (`<file>`) is a name.
    """
    filled = re.sub(r"<[^>\s]*(?: [^>]*)?>", "something", command)
    filled = re.sub(r"\$\(\(.*?\)\)|\$\w+", "1", filled)  # numbers that a scheduler gives
    words = [word for word in shlex.split(filled, comments=True) if word != "..."]
    program = words[0].rpartition("/")[2]
    if ">" in words:
        words = words[: words.index(">")]
    if program == "python":
        return [{"main.py": "train", "eval.py": "eval", "predict.py": "predict"}[words[1]], *words[2:]]
    return words[1:] if program == "lookalike" else []
