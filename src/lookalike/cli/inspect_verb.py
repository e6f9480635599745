"""The verb inspect: what a checkpoint of any project holds, or each of several."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import LookalikeError, needing
from lookalike.terminal import give, show, show_written

if TYPE_CHECKING:
    from lookalike.recognition.given import Given
    from lookalike.settings.checkpoints import InspectCommand

_NOT_READABLE = 1  # exit status: a file is not recognised, or leaves a question open


def inspect(settings: "InspectCommand") -> int:
    """`lookalike inspect`."""
    from lookalike.cli.inputs import inputs_of
    from lookalike.outputs import need_files

    with needing("train", "lookalike inspect"):
        from lookalike.recognition.given import given_of
        from lookalike.recognition.several import checkpoints_in
    from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels
    from lookalike.settings.paths import path_of

    if settings.output:
        need_files(Path(settings.output), (), inputs_of(settings))
    given = given_of(
        settings.model or CheckpointModel.model_validate({}),
        settings.pixels or CheckpointPixels.model_validate({}),
        settings.ckpt_key,
    )
    asked = settings.ckpt_path if isinstance(settings.ckpt_path, list) else [settings.ckpt_path]
    paths = [path_of(place, "ckpt_path") for place in asked]
    if len(paths) == 1 and not paths[0].is_dir():
        return _page(paths[0], given, settings.output)
    return _rows(checkpoints_in(paths), given, settings.output)


def _page(file: Path, given: "Given", output: str | None) -> int:
    """One checkpoint, on a page."""
    from lookalike.recognition.page import page
    from lookalike.recognition.restore import facts_of

    recognised = facts_of(file, given)
    give(checkpoint=recognised.to_dict)
    for line in page(recognised, given):
        show(line)
    _write(recognised.to_dict(), output)
    return _NOT_READABLE if recognised.questions else 0


def _rows(files: list[Path], given: "Given", output: str | None) -> int:
    """Several checkpoints, a line each."""
    from lookalike.recognition.page import row
    from lookalike.recognition.restore import facts_of

    contents: list[dict[str, Any]] = []
    unread = 0
    for file in files:
        try:
            recognised = facts_of(file, given)
        except LookalikeError as error:
            show(str(error) if str(error).startswith(str(file)) else f"{file}: {error}")
            contents.append({"file": str(file), "error": str(error)})
            unread += 1
            continue
        show(row(recognised))
        contents.append(recognised.to_dict())
        unread += bool(recognised.questions)
    give(checkpoints=contents)
    show(f"{len(files) - unread} of {len(files)} recognised")
    _write(contents, output)
    return _NOT_READABLE if unread else 0


def _write(content: object, output: str | None) -> None:
    """The JSON, where one was asked for."""
    from lookalike.files import write_json

    if output:
        write_json(Path(output), content)
        show_written(output)
