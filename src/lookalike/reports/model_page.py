"""A report as one page that needs no network; pictures and data are inside it."""

import time

from lookalike.pages import render
from lookalike.reports import model_tables, model_unknowns
from lookalike.reports.methods import methods_of
from lookalike.reports.model_pictures import map_points, queries_with_neighbours
from lookalike.reports.model_plots import MOST_LABELS, draw
from lookalike.reports.model_report import Report
from lookalike.terminal import visible_line

_QUERIES = 12  # of the best and of the worst


def page(report: Report, beside: str = "") -> bytes:
    """The page, UTF-8.

    Args:
        report: What it shows.
        beside: Name of the folder beside it that holds its tables and figures as files; empty where there is none.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    mistakes, asked = report.mistakes(), set(report.protocol.queries["label"])
    unknown, used = report.unknown_queries, report.threshold_in_use
    of_queries, of_references = report.map.drawn_from
    return render(
        "report.html",
        name=report.bundle.config.run,
        split=report.split,
        sentence=sentence(report),
        root=report.manifest.root,
        date=time.strftime("%Y-%m-%d"),
        protocol=report.identification.result.protocol,
        beside=beside,
        methods=str(methods_of(report)).split("\n"),
        limit=used.similarity if used else None,
        unknown=unknown,
        rates=model_unknowns.rates_table(unknown) if unknown else None,
        separation=model_unknowns.separation_table(unknown) if unknown else None,
        outcomes=model_unknowns.outcomes_table(report) if unknown else None,
        strangers=model_unknowns.strangers_table(report) if unknown else None,
        classes_asked=len(asked),
        classes_trained=len(asked & set(report.bundle.config.labels)),
        plots=draw(report),
        metrics=model_tables.metrics_table(report),
        standard=model_tables.standard_table(report),
        papers=str(report.standard).partition("\n")[0] if report.standard else "",
        mistakes=model_tables.mistakes_table(report),
        pairs=len(mistakes),
        most_labels=MOST_LABELS if len({*mistakes["label"], *mistakes["predicted"]}) > MOST_LABELS else None,
        classes=model_tables.classes_table(report),
        cameras=model_tables.cameras_table(report),
        worst=queries_with_neighbours(report, report.worst(_QUERIES), why=True),
        lit=report.maps is not None,
        best=queries_with_neighbours(report, report.best(_QUERIES)),
        thresholds=model_tables.thresholds_table(report),
        chosen_here=report.split == "validation" and report.of_training,
        drawn={
            "queries": int((report.map.query >= 0).sum()),
            "all_queries": of_queries,
            "references": int((report.map.reference >= 0).sum()),
            "all_references": of_references,
        },
        points=map_points(report),
        card=model_tables.card_table(report),
    ).encode()


def sentence(report: Report) -> str:
    """The result in words."""
    result, headline = report.identification.result, report.identification.headline
    between = " (95 % interval {:.1f} to {:.1f})".format(*(100 * end for end in headline.interval or ()))
    parts = [
        f"{100 * headline.value:.1f} % of {headline.counts['queries']} queries are named rightly by their nearest image"
        f"{between if headline.interval else ''}."
    ]
    if result is not report.identification.whole:
        across = result.metrics["accuracy@1"]
        parts.append(f"Across cameras, images of the query's own left out, it is {100 * across:.1f} %.")
    parts += filter(None, [model_unknowns.unknown_sentence(report)])
    mistakes = report.mistakes().head(3).to_dict("records")
    if mistakes:
        pairs = [visible_line(f"{row['label']} for {row['predicted']} ({_times(row['count'])})") for row in mistakes]
        parts.append(f"Most often it takes {', '.join(pairs)}.")
    if report.split == "validation" and report.of_training:
        parts.append("The epoch was chosen on these images, so this is somewhat optimistic.")
    if report.split == "train":
        parts.append("The model learnt these very images by heart: this says nothing about new ones.")
    if report.twice:
        parts.append(f"{report.twice} queries are also among the references, byte for byte: it is too good by these.")
    return " ".join(parts)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
