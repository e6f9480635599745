"""What the tests of settings and of the command line share: what each verb needs, and the groups of settings."""

from lookalike.cli.arguments import read_settings
from lookalike.cli.verbs import GALLERY
from lookalike.settings.compose import config_folder
from lookalike.settings.training import Train

CONFIGS = config_folder()


NEEDED = {
    "quantize": ["bundle=b"],
    "export": ["bundle=b"],
    "manifest": [],
    "augment": [],
    "train": [],
    "demo": [],
    "embed": [],
    "inspect": ["ckpt_path=c.pth"],
    "eval": [],
    "predict": ["image=i.jpg"],
    "audit": [],
    "push": ["bundle=b", "place=hf://o/n"],
    "pull": ["place=hf://o/n"],
    "compare": [],
    "tune": [],
    "report": ["bundle=b"],
    "serve": [],
    "doctor": [],
    "completion": ["shell=bash"],
    "gallery create": ["gallery=g"],
    "gallery add": ["gallery=g", "images=i"],
    "gallery list": ["gallery=g"],
    "gallery rename": ["gallery=g", "label=a", "to=b"],
    "gallery merge": ["gallery=g", "labels=[a,b]", "to=b"],
    "gallery move": ["gallery=g", "image=7", "to=b"],
    "gallery confirm": ["gallery=g", "image=7"],
    "gallery remove": ["gallery=g"],
    "gallery forget": ["gallery=g"],
    "gallery health": ["gallery=g"],
    "gallery log": ["gallery=g"],
    "gallery undo": ["gallery=g"],
    "gallery reembed": ["gallery=g"],
    "gallery suggest": ["gallery=g"],
    "gallery verify": ["gallery=g"],
    "gallery compact": ["gallery=g"],
    "gallery export": ["gallery=g", "output=o"],
    "gallery import": ["gallery=g", "input=i"],
}


GROUPS = {  # but the folder of the actions of the verb gallery
    folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
    for folder in CONFIGS.iterdir()
    if folder.is_dir() and folder.name != GALLERY
}


def train(*arguments: str) -> Train:
    return read_settings("train", list(arguments))


def with_group(group: str, *arguments: str) -> Train:
    """Settings of a verb that has the group."""
    return read_settings("tune" if group == "tune" else "train", list(arguments))
