"""What lies beside the page of a report: its tables as CSV and LaTeX, its figures as SVG, and its methods."""

from pathlib import Path

from lookalike.files import as_json
from lookalike.outputs import write_files
from lookalike.reports import model_tables, model_unknowns
from lookalike.reports.methods import methods_of
from lookalike.reports.model_page import page
from lookalike.reports.model_plots import figures
from lookalike.reports.model_report import Report
from lookalike.reports.plots import plotting, svg_file
from lookalike.reports.sheet import Sheet


def sheets(report: Report) -> dict[str, Sheet]:
    """Name -> table, whole where the page shows only a part; those without rows are left out."""
    unknown = report.unknown_queries
    tables = {
        "figures": model_tables.metrics_table(report),
        "as-papers": model_tables.standard_table(report),
        "confusions": model_tables.mistakes_table(report, most=None),
        "classes": model_tables.classes_table(report),
        "cameras": model_tables.cameras_table(report),
        "thresholds": model_tables.thresholds_table(report),
        "model": model_tables.card_table(report),
    }
    if unknown:
        tables |= {
            "unknown-separation": model_unknowns.separation_table(unknown),
            "unknown-rates": model_unknowns.rates_table(unknown),
            "unknown-outcomes": model_unknowns.outcomes_table(report),
            "unknown-labels": model_unknowns.strangers_table(report),
        }
    return {name: table for name, table in tables.items() if table is not None and table.rows}


def write_report(report: Report, output: Path, source: str = "") -> list[Path]:
    """Writes tables as `.csv` and `.tex`, figures as `.svg`, `methods.txt` and `.json`, then the page beside them.

    What an earlier report wrote there is replaced, or removed where this one has no such file, as long as nobody
    changed it; anything else is left alone, or kept under a dated name where it stands in the way.

    Args:
        report: The report.
        output: The page.
        source: See `lookalike.outputs.own_name`.

    Returns:
        The files of the folder, which lies beside the page and has its name.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    folder = folder_of(output)
    methods = methods_of(report)
    contents = {
        "methods.txt": str(methods).encode("utf-8", "backslashreplace"),
        "methods.json": as_json(methods.to_dict()),
    }
    for name, table in sheets(report).items():
        contents |= {f"{name}.csv": table.to_csv(), f"{name}.tex": table.to_latex()}
    with plotting():
        contents |= {f"{name}.svg": svg_file(made) for name, made in figures(report).items()}
    beside = {folder / name: content for name, content in contents.items()}
    write_files(output, {**beside, output: page(report, folder.name)}, source)
    return sorted(beside)


def folder_of(output: Path) -> Path:
    """The folder beside a page."""
    return output.with_suffix("")
