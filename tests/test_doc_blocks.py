"""Every block of code of the documentation is run by a test or says why not, and can be typed; links lead somewhere."""

import re

import pytest

from command_line import NEEDED
from doc_blocks import NOT_RUN, PAGES, ROOT, RUN, arguments_of, blocks
from lookalike.cli.arguments import read_grid, read_settings, read_shell
from lookalike.cli.verbs import VERBS, find_action, find_verb
from lookalike.settings.check import SettingsError

BLOCKS = list(blocks())
COMMANDS = [(block.page, command) for block in BLOCKS for command in block.commands if arguments_of(command)]


def test_every_block_is_run_or_says_why_not() -> None:
    kinds = {(block.page, block.kind) for block in BLOCKS if block.kind}
    assert kinds - set(RUN) - set(NOT_RUN) == set()
    assert (set(RUN) | set(NOT_RUN)) - kinds == set(), "these are not there any more"
    assert set(RUN) & set(NOT_RUN) == set()
    for test in RUN.values():
        assert (ROOT / test.partition(",")[0]).is_file()


def test_the_blocks_are_seen() -> None:
    assert len(COMMANDS) >= 80
    assert {command.partition(" ")[0].rpartition("/")[2] for _, command in COMMANDS} == {"lookalike", "python"}
    assert sum(block.kind == "examples" for block in BLOCKS) >= 40


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}: {command[:60]}" for page, command in COMMANDS])
def test_a_command_of_a_page_is_understood(page: str, command: str) -> None:
    """Its verb, its settings, and their values; files are not looked at."""
    arguments = arguments_of(command)
    arguments = [word for word in arguments if word not in ("--json", "--quiet")]
    if arguments[0].startswith("--") or "--help" in arguments or "--config" in arguments:
        return
    action = arguments[0] == "gallery"
    verb = find_action(arguments[1]) if action else find_verb(arguments[0])
    typed = arguments[2 if action else 1 :]
    given = {word.partition("=")[0] for word in typed}
    needed = (
        [] if verb.name == "completion" else [word for word in NEEDED[verb.name] if word.partition("=")[0] not in given]
    )
    read = {"compare": read_grid, "completion": read_shell}.get(verb.name, read_settings)
    read(verb.name, [*needed, *typed])


def test_a_misspelt_setting_would_be_seen() -> None:
    with pytest.raises(SettingsError, match="unknown setting"):
        test_a_command_of_a_page_is_understood("", "lookalike predict image=i.jpg fals_accept_rate=0.1")


def slug(heading: str) -> str:
    """As GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    return {slug(line) for line in re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_are_there(page: str) -> None:
    file = PAGES[page]
    text = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", file.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = target.partition("#")
        if "://" in place:
            continue
        there = (file.parent / place).resolve() if place else file
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there.read_text("utf-8")), target


def test_every_verb_is_in_the_table_of_the_readme() -> None:
    readme = PAGES["README.md"].read_text("utf-8")
    for verb in {name.partition(" ")[0] for name in VERBS}:
        assert f"| `lookalike {verb}` |" in readme, verb
