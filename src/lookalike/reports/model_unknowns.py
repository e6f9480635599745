"""What a report tells of queries whose label no reference has: tables, and a sentence."""

from lookalike.evaluation.unknown_queries import UnknownQueries
from lookalike.reports.model_report import Report
from lookalike.reports.sheet import Column, Sheet


def rates_table(unknown: UnknownQueries) -> Sheet:
    """What every threshold of the bundle does, with 95 % intervals."""
    entries = unknown.at_thresholds
    results = [entry.acceptance for entry in entries]
    parts = {
        "unknown accepted": [
            _ends(result.unknown_accepted.value, result.unknown_accepted.interval_95) for result in results
        ],
        "known named rightly": [
            _ends(result.named_rightly.value, result.named_rightly.interval_95) for result in results
        ],
        "balanced accuracy": [_ends(result.balanced_accuracy, result.balanced_interval) for result in results],
    }
    columns = [
        Column("promised false accept rate", [entry.promised for entry in entries], "rate"),
        Column("threshold", [result.similarity for result in results], "similarity"),
        *(Column(name, values, "between") for name, values in parts.items()),
    ]
    columns.append(Column("use", ["in use" if entry.in_use else "" for entry in entries]))
    return Sheet(columns)


def _ends(value: float, interval: tuple[float, float]) -> tuple[float, float, float]:
    return value, *interval


def separation_table(unknown: UnknownQueries) -> Sheet:
    """The figures that need no threshold of a bundle, each explained."""
    meanings = ["pairs in which the known query is more similar to its nearest image than the unknown one is"]
    meanings += [
        f"known queries accepted and named rightly where at most {100 * rate:g} % of these unknown ones are accepted"
        for rate in unknown.detection_rates
    ]
    names = ["auroc", *(f"dir@far{rate:g}" for rate in unknown.detection_rates)]
    values = [unknown.auroc, *unknown.detection_rates.values()]
    return Sheet([Column("figure", names), Column("value", values, "figure"), Column("share of the", meanings)])


def outcomes_table(report: Report) -> Sheet | None:
    """What becomes of known and of unknown queries by the threshold in use; None where none is."""
    rejected = report.rejected
    if rejected is None:
        return None
    per_query = report.identification.result.per_query
    enrolled, right = per_query["known"].astype(bool), per_query["predicted"] == per_query["label"]
    kinds = {"known": enrolled, "unknown": ~enrolled}
    counts = {
        "queries": [int(kind.sum()) for kind in kinds.values()],
        "named rightly": [int((kind & right & ~rejected).sum()) for kind in kinds.values()],
        "named wrongly": [int((kind & ~right & ~rejected).sum()) for kind in kinds.values()],
        "called unknown": [int((kind & rejected).sum()) for kind in kinds.values()],
    }
    return Sheet(
        [Column("queries of labels that are", list(kinds)), *(Column(*part, "count") for part in counts.items())]
    )


def strangers_table(report: Report) -> Sheet:
    """Every unknown label: its queries, the most similar one and to whom, and how many pass the threshold."""
    per_query = report.identification.result.per_query
    rows = per_query[~per_query["known"].astype(bool)]
    groups = rows.groupby("label")
    highest = rows.loc[groups["similarity"].idxmax()].sort_values("similarity", ascending=False, kind="stable")
    labels = highest["label"]
    columns = [
        Column("unknown label", labels.tolist()),
        Column("queries", labels.map(groups.size()).tolist(), "count"),
        Column("highest similarity", highest["similarity"].tolist(), "similarity"),
        Column("to an image of", highest["predicted"].tolist()),
    ]
    if (rejected := report.rejected) is not None:
        passed = (~rejected[rows.index]).groupby(rows["label"]).sum()
        columns.insert(2, Column("accepted", labels.map(passed).astype(int).tolist(), "count"))
    return Sheet(columns, sortable=True)


def unknown_sentence(report: Report) -> str:
    """The result in words; empty where there are no such queries."""
    unknown = report.unknown_queries
    if unknown is None:
        return ""
    total = unknown.enrolled + unknown.unknown
    per_query = report.identification.result.per_query
    rightly = per_query.loc[per_query["known"].astype(bool), "accuracy@1"].mean()
    words = (
        f"{unknown.unknown} of the {total} queries are of labels that no known image has, so they cannot be named "
        f"rightly; of the other {unknown.enrolled}, {100 * rightly:.1f} % are."
    )
    if unknown.in_use is None:
        return words
    result = unknown.in_use.acceptance
    balanced = "{:.1f} % (95 % interval {:.1f} to {:.1f})".format(
        *(100 * value for value in (result.balanced_accuracy, *result.balanced_interval))
    )
    return (
        f"{words} With the threshold in use {100 * result.named_rightly.value:.1f} % of the known ones keep their "
        f"right name and {100 * (1 - result.unknown_accepted.value):.1f} % of the unknown ones are called unknown: "
        f"balanced accuracy {balanced}."
    )
