"""What the site has beside `docs/*.md`: pages made from the code, notebooks, and copies of what stands elsewhere.

MkDocs calls `on_files` before it builds and `on_page_markdown` for each page. Made pages are in no folder: they are as
new as the code. Links that leave `docs/` lead to copies inside the site.
"""

import json
import posixpath
import re
from pathlib import Path
from types import ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import lookalike
from lookalike.cli.help import OPTIONS
from lookalike.cli.setting_rows import group_options, setting_rows
from lookalike.cli.verbs import VERBS, Verb
from lookalike.settings.compose import config_folder

ROOT = Path(__file__).parents[2]
OUTSIDE = (*(f"benchmarks/{file.name}" for file in sorted((ROOT / "benchmarks").glob("*.md"))), "benchmarks/parity.py")
AT_THE_ROOT = ("CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE")
_LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
FOR_LIGHTNING = (
    "lookalike.models.metric_learning_module.MetricLearningModule",
    "lookalike.datamodules.market_datamodule.MarketDataModule",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the made pages and the copies of what stands outside `docs/`.

    Args:
        files: Those of `docs/`.
        config: Of the site.
    """
    for place in (*OUTSIDE, *AT_THE_ROOT):
        files.append(File.generated(config, place, content=(ROOT / place).read_text(encoding="utf-8")))
    pages = {
        "reference/python.md": python_page(lookalike),
        "reference/command_line.md": command_line_page(),
        "reference/settings.md": settings_page(),
        "reference/recipes.md": recipes_page(),
    }
    for notebook in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        pages[f"notebooks/{notebook.stem}.md"] = notebook_page(notebook)
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The text of a page, its links leading to what the site has.

    Args:
        markdown: As it stands in the repository.
        page: Whose text it is.
        config: Of the site.
        files: Of the site.
    """
    place = page.file.src_uri
    own = place if place in OUTSIDE or place in AT_THE_ROOT else f"docs/{place}"

    def inside(link: re.Match[str]) -> str:
        start, target, anchor, end = link.groups()
        if "://" in target or target.startswith("mailto:"):
            return link[0]
        there = posixpath.normpath(posixpath.join(posixpath.dirname(own), target))
        there = there.removeprefix("docs/")
        if there.endswith(".ipynb"):
            there = there.removesuffix("ipynb") + "md"
        return f"{start}{posixpath.relpath(there, posixpath.dirname(place) or '.')}{anchor or ''}{end}"

    return _LINK.sub(inside, markdown)


def python_page(package: ModuleType) -> str:
    """The public names of the package, documented by their docstrings.

    Args:
        package: Ours.
    """
    places = {name: f"lookalike.{package._PLACES[name]}.{name}" for name in package.__all__}
    lines = ["# Python", "", "`from lookalike import ...`; a story with all of them is [In Python](../python.md).", ""]
    lines += [f"::: {place}\n" for _, place in sorted(places.items(), key=lambda item: item[0].lower())]
    lines += [
        "## For a Trainer of Lightning",
        "",
        *(f"::: {place}\n    options: {{heading_level: 3}}\n" for place in FOR_LIGHTNING),
    ]
    return "\n".join(lines)


def command_line_page() -> str:
    """The verbs and the options of all of them."""
    rows = [f"| [`lookalike {verb.name}`](settings.md#{_anchor(verb)}) | {verb.help} |" for verb in VERBS.values()]
    return "\n".join(
        [
            *(
                "# Command line",
                "",
                "`lookalike <verb> [setting=value ...] [options]`; exit code 0: done, 1: done with",
            ),
            *("failures, 2: wrong use, 130: stopped.", "", "| verb | what it does |", "|---|---|", *rows, ""),
            *("## Options of every verb", "", "```text", OPTIONS, "```", ""),
        ]
    )


def settings_page() -> str:
    """Every setting of every verb, from the models that check them and the files under `configs/`."""
    lines = ["# Settings", "", "Each is typed as `name=value`. Every default stands in a file under `configs/`"]
    lines += ["([recipes](recipes.md)); the types are checked before any data is read.", ""]
    for verb in VERBS.values():
        lines += [
            f"## {verb.name}",
            "",
            f"{verb.help[0].upper()}{verb.help[1:]}.",
            "",
            "| setting | default | meaning |",
        ]
        lines.append("|---|---|---|")
        for row in setting_rows(verb):
            choices = " \\| ".join(f"`{choice}`" for choice in row.choices)
            meaning = "; ".join(filter(None, (choices, _cell(row.meaning))))
            lines.append(f"| `{row.name}` | `{_cell(row.default)}` | {meaning} |")
        groups = group_options(verb)
        lines += ["", *(["Groups, of which an option is chosen by name:", ""] if groups else [])]
        for name, options in groups.items():
            listed = ", ".join(f"[`{option}`](recipes.md#{name}{option.replace('.', '')})" for option in options)
            lines.append(f"- `{name}`: {listed}")
        lines.append("")
    return "\n".join(lines)


def recipes_page() -> str:
    """Every file under `configs/`."""
    lines = ["# Recipes", "", "The files of defaults, as they stand under `configs/`.", ""]
    for file in sorted(config_folder().rglob("*.yaml"), key=lambda file: (file.parent.as_posix(), file.name)):
        name = file.relative_to(config_folder()).with_suffix("").as_posix()
        lines += [f"## {name}", "", "```yaml", file.read_text(encoding="utf-8").rstrip(), "```", ""]
    return "\n".join(lines)


def notebook_page(file: Path) -> str:
    """A notebook as a page: its texts, its code, and what the code gave.

    Args:
        file: Of Jupyter.
    """
    lines: list[str] = []
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        lines += [source, ""] if cell["cell_type"] == "markdown" else ["```python", source, "```", ""]
        for output in cell.get("outputs", []):
            lines += [*_shown(output), ""]
    return "\n".join(
        [*lines, f"This page is a notebook: [{file.name}](../../{file.relative_to(ROOT).as_posix()}).", ""]
    )


def _shown(output: dict[str, object]) -> list[str]:
    data = output.get("data", {})
    assert isinstance(data, dict)
    if "image/png" in data:
        return [f'<img alt="what the cell draws" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">']
    text = "".join(output.get("text") or data.get("text/plain") or [])
    return ["```text", text.rstrip(), "```"]


def _anchor(verb: Verb) -> str:
    return verb.name.replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" not in text else text
