"""Queries of labels that no reference has, on the page: as of a count by hand, and nowhere without them."""

from dataclasses import replace
from pathlib import Path

from browser import stands_alone
from lookalike.reports.model_page import page, sentence
from lookalike.reports.model_pictures import map_points
from lookalike.reports.model_plots import draw, most_confused
from lookalike.reports.model_report import Report
from lookalike.reports.model_tables import classes_table, mistakes_table
from lookalike.reports.model_unknowns import (
    outcomes_table,
    rates_table,
    separation_table,
    strangers_table,
    unknown_sentence,
)


def never(report: Report) -> Report:
    """The same without a threshold in use."""
    open_set = report.bundle.config.open_set.model_copy(update={"false_accept_rate": None})
    config = report.bundle.config.model_copy(update={"open_set": open_set})
    return replace(report, bundle=replace(report.bundle, config=config))


def test_rates_are_those_of_a_count(strangers: Report) -> None:
    per_query = strangers.identification.result.per_query
    unknown = strangers.unknown_queries
    assert unknown is not None
    table = rates_table(unknown)
    right = per_query["predicted"] == per_query["label"]
    assert [row[0] for row in table.rows] == ["1 %", "2 %", "5 %", "10 %", "20 %"]
    assert [row[-1] for row in table.rows] == ["", "", "", "in use", ""]
    for row, threshold in zip(table.rows, strangers.thresholds, strict=True):
        above = per_query["similarity"] > threshold.similarity
        accepted = above[per_query["label"] == "digit 4"].mean()
        rightly = (above & right)[per_query["label"] != "digit 4"].mean()
        shares = (accepted, rightly, (rightly + 1 - accepted) / 2)
        assert [cell.partition(" %")[0] for cell in row[2:5]] == [f"{100 * share:.1f}" for share in shares]
    figures = dict(row[:2] for row in separation_table(unknown).rows)
    metrics = strangers.identification.metrics
    assert figures == {name: f"{metrics[name]:.4f}" for name in ("auroc", "dir@far0.01", "dir@far0.1")}


def test_every_query_has_one_outcome(strangers: Report) -> None:
    outcomes = outcomes_table(strangers)
    assert outcomes is not None
    for kind, queries, *parts in outcomes.rows:
        assert queries == {"known": "16", "unknown": "4"}[kind]
        assert sum(map(int, parts)) == int(queries)
    assert outcomes.rows[1][2] == "0", "an unknown one is never named rightly"
    assert outcomes_table(never(strangers)) is None


def test_unknown_labels_stand_with_whom_they_are_nearest_to(strangers: Report) -> None:
    per_query = strangers.identification.result.per_query
    rows = per_query[per_query["label"] == "digit 4"]
    nearest = rows.loc[rows["similarity"].idxmax()]
    threshold = strangers.threshold_in_use
    assert threshold is not None
    ((label, queries, accepted, similarity, of),) = strangers_table(strangers).rows
    assert (label, queries, of) == ("digit 4", "4", nearest["predicted"])
    assert accepted == str((rows["similarity"] > threshold.similarity).sum())
    assert similarity == f"{nearest['similarity']:.4f}"
    assert strangers_table(never(strangers)).rows == [["digit 4", "4", similarity, of]]


def test_confusions_have_a_column_of_what_is_turned_away(strangers: Report) -> None:
    per_query, threshold = strangers.identification.result.per_query, strangers.threshold_in_use
    assert threshold is not None
    rejected = per_query["similarity"] <= threshold.similarity
    classes = classes_table(strangers)
    assert classes.heads[-1] == "called unknown"
    for row in classes.rows:
        assert row[-1] == str((rejected & (per_query["label"] == row[0])).sum())
    mistakes = mistakes_table(strangers)
    for row in mistakes.rows:
        pair = (per_query["label"] == row[0]) & (per_query["predicted"] == row[1])
        assert row[-1] == str((rejected & pair).sum())
    assert "digit 4" not in {row[0] for row in mistakes.rows}
    without = never(strangers)
    assert [row[:-1] for row in classes.rows] == classes_table(without).rows
    assert [row[:-1] for row in mistakes.rows] == mistakes_table(without).rows
    assert most_confused(strangers) == most_confused(without)
    assert ("called unknown" in draw(strangers)["confusion"]) > ("called unknown" in draw(without)["confusion"])


def test_the_sentence_keeps_known_and_unknown_apart(strangers: Report) -> None:
    unknown = strangers.unknown_queries
    assert unknown is not None
    assert unknown.in_use is not None
    words = unknown_sentence(strangers)
    assert words.startswith(
        "4 of the 20 queries are of labels that no known image has, so they cannot be named rightly;"
    )
    assert f"balanced accuracy {100 * unknown.in_use.acceptance.balanced_accuracy:.1f} % (95 % interval" in words
    assert words in sentence(strangers)
    assert "threshold" not in unknown_sentence(never(strangers))


def test_the_page_has_a_section_where_there_are_unknown_queries(strangers: Report, report: Report) -> None:
    written = page(strangers, "tiny-validation").decode()
    assert stands_alone(written)
    section = written.partition('id="s-unknown"')[2].partition("</section>")[0]
    assert "4 of 20 queries are of 1 labels that" in section
    assert section.count("<table") == 4
    assert "<svg" in section
    assert "The folder tiny-validation/ beside this page" in written
    plain = page(report).decode()
    assert 'id="s-unknown"' not in plain
    assert "called unknown" not in plain
    assert "beside this page" not in plain
    nowhere = page(never(strangers)).decode().partition('id="s-unknown"')[2].partition("</section>")[0]
    assert "None of them is in use: every query gets a name" in nowhere
    assert nowhere.count("<table") == 3


def test_an_unknown_query_is_no_mistake_on_the_map(strangers: Report) -> None:
    points = map_points(strangers)
    kinds: dict[int, set[str]] = {}
    for kind, label, *_ in points["points"]:
        kinds.setdefault(kind, set()).add(points["labels"][label])
    assert kinds[3] == {"digit 4"}
    assert "digit 4" not in kinds[0] | kinds[1] | kinds.get(2, set())


def test_what_stood_on_the_page_before_has_not_moved(strangers: Report, report: Report) -> None:
    """A threshold in use adds columns and changes none."""
    open_set = report.bundle.config.open_set.model_copy(update={"false_accept_rate": 0.1})
    config = report.bundle.config.model_copy(update={"open_set": open_set})
    used = replace(report, bundle=replace(report.bundle, config=config))
    for table in (classes_table, mistakes_table):
        assert [row[:-1] for row in table(used).rows] == table(report).rows
    assert sentence(used) == sentence(report)
    assert Path(str(strangers.manifest.root)).name == "digits"
