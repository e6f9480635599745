"""The paragraph for a paper: every number in it is a field, and is what was measured."""

import json

from lookalike.reports.methods import methods_of
from lookalike.reports.model_report import Report


def test_the_facts_are_those_of_the_report(strangers: Report) -> None:
    methods = methods_of(strangers)
    assert (methods.queries, methods.query_labels, methods.references, methods.reference_labels) == (20, 5, 40, 4)
    assert (methods.labels_trained_on, methods.without_positive, methods.split) == (5, 4, "validation")
    headline = strangers.identification.headline
    assert (methods.accuracy.value, methods.accuracy.interval_95) == (headline.value, headline.interval)
    content = json.loads(json.dumps(methods.to_dict(), allow_nan=False))
    assert content["unknown"]["queries_unknown"] == 4
    assert "curve" not in content["unknown"]
    assert content["fingerprint"] == strangers.bundle.fingerprint


def test_it_reads_as_paragraphs(strangers: Report) -> None:
    text = str(methods_of(strangers))
    headline = strangers.identification.headline
    low, high = headline.interval or (0, 0)
    assert f"{100 * headline.value:.1f} % were right (95 % interval {100 * low:.1f} to {100 * high:.1f} %)" in text
    assert (
        "20 query images of 5 labels (split validation of digits) were compared with 40 reference images of 4" in text
    )
    assert "4 queries were of 1 labels without any reference, 16 of labels with one." in text
    unknown = strangers.unknown_queries
    assert unknown is not None
    assert unknown.in_use is not None
    used = unknown.in_use.acceptance
    assert (
        f"At a similarity threshold of {used.similarity:.3f}, chosen for a false accept rate of 10 % on 20 images"
        in text
    )
    assert text.count("At a similarity threshold") == 1, "the one in use"
    assert f"balanced accuracy of known and unknown was {100 * used.balanced_accuracy:.1f} % (95 % interval" in text
    assert "percentiles of 1000 resamples in which whole labels were drawn" in text
    assert "  " not in text
    assert "{" not in text
    assert text.endswith(f"{strangers.bundle.fingerprint}.\n")


def test_without_unknown_queries_it_says_nothing_of_them(report: Report) -> None:
    methods = methods_of(report)
    assert methods.unknown is None
    assert "false accept" not in str(methods)
    assert "Wilson" not in str(methods)
    assert len(str(methods).splitlines()) == 4
