"""Every question names what is open and the settings that answer it, in one line; the answers are taken."""

from pathlib import Path
from typing import Any

import pytest

from lookalike.recognition.given import Given
from lookalike.recognition.questions import ask_student
from lookalike.recognition.recognise import recognise, survey
from outlines import Tensors, blank, tensors_of, written

RESNET = tensors_of("resnet18", "net.")
NORM: Tensors = {f"net.bnneck.{part}": blank((512,)) for part in ("weight", "bias", "running_mean", "running_var")}
CASES: dict[str, tuple[Any, tuple[str, ...], list[dict[str, Any]]]] = {
    "architecture": (
        tensors_of("efficientnet_b0"),
        ("architecture",),
        [{"backbone": "efficientnet_b0"}, {"backbone": "tf_efficientnet_b0"}],
    ),
    "scales": (tensors_of("vit_tiny_patch16_224"), ("mean", "std"), [{"mean": [0.5] * 3, "std": [0.5] * 3}]),
    "head": (
        {**RESNET, "net.fc.weight": blank((64, 512))},
        ("neck",),
        [{"embedding_size": 64}, {"embedding_size": None}],
    ),
    "projector": (
        {**RESNET, "projector.weight": blank((64, 512))},
        ("neck",),
        [{"embedding_size": 64}, {"embedding_size": None}],
    ),
    "two sides": ({**RESNET, **NORM}, ("neck",), [{"bn_neck": True}, {"bn_neck": False}]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_question_comes_with_the_settings_that_answer_it(case: str, tmp_path: Path) -> None:
    content, facts, answers = CASES[case]
    file = written(content, tmp_path)
    (question,) = survey(file)[0].questions
    assert question.facts == facts
    assert "\n" not in question.text
    for answer in answers:
        assert all(f"model.{name}=" in question.text for name in answer)
        assert recognise(file, Given(answer))[0].questions == []


def test_several_networks_are_shown_and_asked_for(tmp_path: Path) -> None:
    file = written(
        {**tensors_of("resnet18", "a."), **tensors_of("resnet18", "b."), "b.fc.weight": blank((9, 512))}, tmp_path
    )
    recognised = survey(file)[0]
    assert recognised.facts["architecture"].value == "resnet18"
    assert "several networks in it" in recognised.questions[0].text
    assert "ckpt_key=a or ckpt_key=b" in recognised.questions[0].text


def test_without_a_teacher_no_student_is_asked_for() -> None:
    assert ask_student("student", ["ema"]) is None
    asked = ask_student("", ["a.teacher"])
    assert asked is not None
    assert asked.text.endswith("give ckpt_key=a.student or ckpt_key=a.teacher")
