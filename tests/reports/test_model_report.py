"""What a report is made of: classes, mistakes, best and worst queries, as of a count by hand."""

import pytest

from lookalike.reports.model_report import Report


def test_classes_and_mistakes_are_those_of_a_count(report: Report) -> None:
    per_query = report.identification.result.per_query
    table = report.per_class().set_index("label")
    assert table["references"].tolist() == [10] * 5
    for label, row in table.iterrows():
        of_label = per_query[per_query["label"] == label]
        assert row["accuracy@1"] == pytest.approx((of_label["predicted"] == label).mean())
    mistakes = report.mistakes()
    assert mistakes["count"].sum() == (per_query["predicted"] != per_query["label"]).sum()
    assert (mistakes["label"] != mistakes["predicted"]).all()
    assert mistakes["count"].is_monotonic_decreasing
    assert (mistakes["share"] == mistakes["count"] / 4).all()


def test_best_and_worst_queries(report: Report) -> None:
    per_query = report.identification.result.per_query
    best, worst = report.best(12), report.worst(12)
    labels = per_query.loc[best, "label"]
    assert labels.is_unique
    assert (per_query.loc[best, "predicted"] == labels).all()
    assert per_query.loc[worst, "map"].is_monotonic_increasing
    assert per_query.loc[worst[0], "map"] == per_query["map"].min()
