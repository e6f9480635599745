"""A project's way, and what in a file shows it."""

from pathlib import Path

import torch

from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import FACTS
from lookalike.recognition.projects.project import Project, has
from lookalike.recognition.projects.tables import PROJECTS, project_of
from lookalike.recognition.projects.unknown import UNKNOWN


def test_what_stands_before_a_projects_own_names() -> None:
    project = Project("a", "1", lambda contents: "", backbone=r"backbone\.")
    assert [project.wrapper_of(prefix) for prefix in ("net.backbone.", "backbone.", "other.")] == ["net.", "", "other."]
    assert project.cited == "a 1"


def test_names_are_looked_for_behind_one_wrapper() -> None:
    contents = Contents(Path("a"), {"net.base.w": torch.ones(1), "head.w": torch.ones(1)})
    assert has(contents, r"base\.", r"head\.")
    assert not has(contents, r"neck\.")


def test_every_project_says_how_images_are_read_with_a_source() -> None:
    for project in (*PROJECTS, UNKNOWN):
        assert set(project.facts) <= set(FACTS)
        assert all(source for _, source in project.facts.values()), project.name
        assert project.facts["channels"][0] == "RGB"
        assert project.shown_by(Contents(Path("a"), {"x.weight": torch.ones(1)})) == ""


def test_a_file_that_shows_nothing_is_of_no_project() -> None:
    assert project_of(Contents(Path("a"), {})) == (UNKNOWN, "")
    kept = Contents(Path("trunk_best3.pth"), {"conv1.weight": torch.ones(1)})
    assert project_of(kept)[0].name == "pytorch-metric-learning"
