"""One way from embeddings to figures: drawn galleries, tracklets and rules that papers do not have."""

from pathlib import Path

import numpy as np
import pytest

from lookalike.data.reading import read_manifest
from lookalike.evaluation.identify import Rules, identify
from lookalike.evaluation.measure import measure_protocol
from lookalike.evaluation.standard import first_view, standard_figures
from lookalike.evaluation.tracklets import pooled, pooling_of
from made_layouts import MADE, Pictures


def unit(count: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((count, 6))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_galleries_are_drawn_where_papers_draw_them(tmp_path: Path, pictures: Pictures) -> None:
    manifest = read_manifest(MADE["vehicleid"](tmp_path, pictures))
    protocol = manifest.protocol("test")
    references = unit(len(protocol.references), 1)
    made = measure_protocol(manifest, protocol, (references[protocol.own_row], references), Rules())
    assert made.standard == standard_figures(manifest, Rules(), protocol=protocol, references=references)
    drawn, queries, answers = first_view(manifest, protocol, references)
    assert made.identification.to_dict() == identify(queries, answers, drawn, Rules()).to_dict()
    assert np.array_equal(made.queries, queries)
    assert np.array_equal(made.references, answers)


@pytest.mark.parametrize("rules", [Rules(), Rules(camera_rule=False), Rules(pool="none")])
def test_tracklets_ask_and_other_rules_are_told(
    rules: Rules, tmp_path: Path, pictures: Pictures, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(MADE["mars"](tmp_path, pictures))
    protocol = manifest.protocol("test")
    embedded = unit(len(protocol.queries), 1), unit(len(protocol.references), 2)
    pooling = pooling_of(protocol, rules.pool)
    made = measure_protocol(manifest, protocol, embedded, rules, pooling)
    queries, references, by_tracklet = pooled(*embedded, protocol, pooling)
    assert made.identification.to_dict() == identify(queries, references, by_tracklet, rules).to_dict()
    as_papers = rules == Rules()
    assert (made.standard is not None) == as_papers
    assert ("not as papers on mars measure it" in capsys.readouterr().err) != as_papers
    assert len(made.queries) == len(made.protocol.queries)
