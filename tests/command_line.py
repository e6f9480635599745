"""What the tests of settings and of the command line share: what each verb needs, and the groups of settings."""

from lookalike.cli.arguments import read_settings
from lookalike.settings.compose import config_folder
from lookalike.settings.training import Train

CONFIGS = config_folder()


NEEDED = {
    "quantize": ["bundle=b"],
    "manifest": [],
    "augment": [],
    "train": [],
    "demo": [],
    "embed": [],
    "eval": [],
    "predict": ["bundle=b", "image=i.jpg"],
    "audit": [],
    "compare": [],
    "tune": [],
    "report": ["bundle=b"],
}


GROUPS = {
    folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in CONFIGS.iterdir() if folder.is_dir()
}


def train(*arguments: str) -> Train:
    return read_settings("train", list(arguments))


def with_group(group: str, *arguments: str) -> Train:
    """Settings of a verb that has the group."""
    return read_settings("tune" if group == "tune" else "train", list(arguments))
