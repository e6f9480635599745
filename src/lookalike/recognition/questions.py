"""What is asked of a person where two readings of a file fit: each with the settings that answer it."""

from lookalike.recognition.backbones import Match
from lookalike.recognition.catalogue import unfilled
from lookalike.recognition.facts import Fact, Question
from lookalike.recognition.heads import Head


def ask_networks(matches: list[Match]) -> Question:
    """Which of several networks is meant.

    Args:
        matches: Those that are wholly there.
    """
    listed = [f"{match.architecture} under {match.view.prefix[:-1] or 'no prefix'}" for match in matches]
    keys = [match.view.prefix[:-1] for match in matches if match.view.prefix]
    return Question(
        ("weights", "architecture"),
        f"several networks in it: {', '.join(listed[:6])}: say which embeds: "
        f"{' or '.join(f'ckpt_key={key}' for key in keys[:6])}",
    )


def ask_student(key: str, places: list[str]) -> Question | None:
    """Which of a student and its teacher embeds: projects differ; None where there is no teacher.

    Args:
        key: Of the set of weights that was taken.
        places: Of sets of weights beside it.
    """
    teacher = next((place for place in places if place.rpartition(".")[2] == "teacher"), "")
    if not teacher:
        return None
    student = key or teacher.removesuffix("teacher") + "student"
    return Question(
        ("weights",),
        "a student and a teacher in it, and projects differ in which of them embeds: give "
        f"ckpt_key={student} or ckpt_key={teacher}",
    )


def ask_architecture(names: list[str]) -> Question:
    """Which of several architectures that have the same tensors and compute different things.

    Args:
        names: timm's.
    """
    choices = " or ".join(f"model.backbone={name}" for name in names)
    return Question(
        ("architecture",),
        f"{' and '.join(names)} have the same tensors and compute different things, and the file does not say which "
        f"it is: give {choices}",
    )


def ask_scales(match: Match, mean: Fact) -> Question | None:
    """Which mean and std, where several names of timm for the network have different ones and nothing says which.

    Args:
        match: The network.
        mean: What would be taken.
    """
    if match.source != "shapes" or not mean.evidence.startswith("timm's"):
        return None
    configs = {name: vars(unfilled(name))["pretrained_cfg"] for name in [match.architecture, *match.same]}
    kinds: dict[tuple[float, ...], str] = {}
    for name, config in configs.items():
        kinds.setdefault((*config["mean"], *config["std"]), name)
    if len(kinds) == 1:
        return None
    choices = [
        f"model.mean=[{','.join(map(str, key[:3]))}] model.std=[{','.join(map(str, key[3:]))}] as {name} has"
        for key, name in kinds.items()
    ]
    return Question(
        ("mean", "std"),
        f"recognised {match.architecture}, but the file does not say how its pixels were scaled: give "
        f"{', or '.join(choices)}",
    )


def ask_two_sizes(network: str, height: Fact) -> Question | None:
    """The size of fast-reid's networks with GeM, where nothing says it.

    Args:
        network: What was recognised.
        height: Of the images.
    """
    if height.source in ("given", "saved settings"):
        return None
    return Question(
        ("height", "width"),
        f"recognised {network} with GeM, which AGW's configurations have for 256 x 128 pixels and SBS's for 384 x 128, "
        "with the same tensors: give pixels.height=256 pixels.width=128, or pixels.height=384 pixels.width=128, or put "
        "its config.yaml beside the file",
    )


def ask_head(network: str, head: Head) -> list[Question]:
    """Whether a layer is the head or a classifier, and on which side of a batch norm the embedding is taken.

    Args:
        network: What was recognised.
        head: What is behind it.
    """
    questions = []
    if head.doubtful is not None:
        stem, size = head.doubtful
        kind = "a head that training alone has" if head.projector else "a classifier"
        questions.append(
            Question(
                ("neck",),
                f"recognised {network}; {stem} ({size} x {head.width}) may be its head or {kind}, and the file does "
                f"not say which: give model.embedding_size={size} if what it gives is the embedding, or "
                "model.embedding_size=null for what stands before it",
            )
        )
    if head.two_sides:
        questions.append(
            Question(
                ("neck",),
                f"recognised {network}; {head.two_sides} is a batch norm behind the pooling, and projects differ in "
                "which side of it they test: give model.bn_neck=true for the embedding behind it, or "
                "model.bn_neck=false for the one before it",
            )
        )
    return questions


def ask_project(network: str, stride: int | None) -> Question:
    """Which of the projects whose names of tensors are the same.

    Args:
        network: What was recognised.
        stride: Of the last stage, as the projects of re-identification have it.
    """
    return Question(
        ("project", "last_stride", "taken", "height", "width", "mean", "std"),
        f"recognised {network} with a batch norm, under names that several projects use (base.*, bottleneck.*), and "
        f"the file does not say which: give model.project=reid-strong-baseline (last stride {stride}, no relu in the "
        "stem, 256 x 128 pixels, ImageNet's mean, behind the batch norm) or model.project=none (a ResNet as "
        "torchvision has it, last stride 2, with relu, 224 x 224 pixels)",
    )
