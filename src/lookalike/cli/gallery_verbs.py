"""The actions of the verb gallery."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from lookalike.cli.inputs import inputs_of
from lookalike.errors import LookalikeError
from lookalike.terminal import counted, give, show, show_written, wrote

if TYPE_CHECKING:
    from lookalike.gallery.enrolment_table import ToEnrol
    from lookalike.gallery.gallery import Gallery
    from lookalike.settings.gallery import (
        GalleryAdd,
        GalleryCompact,
        GalleryConfirm,
        GalleryCreate,
        GalleryExport,
        GalleryForget,
        GalleryHealth,
        GalleryImport,
        GalleryList,
        GalleryLog,
        GalleryMerge,
        GalleryMove,
        GalleryReembed,
        GalleryRemove,
        GalleryRename,
        GallerySuggest,
        GalleryUndo,
        GalleryVerify,
    )


class GalleryUsageError(LookalikeError):
    """It is not clear what is to be done with a gallery."""


def create(settings: "GalleryCreate") -> int:
    """`lookalike gallery create`."""
    from lookalike.cli.model_verbs import model_to_embed
    from lookalike.gallery.gallery import Gallery
    from lookalike.gallery.stores import need_no_gallery

    _need_model(settings)
    need_no_gallery(settings.gallery)
    with Gallery.create(settings.gallery, model_to_embed(settings)) as gallery:
        give(gallery=gallery.path, images=0)
        wrote(gallery.path)
        show(f"{gallery}, searched by {gallery.model}")
        show(f"Next: lookalike gallery add gallery={quote(str(gallery.path))} images=<folder> label=<its name>")
    return 0


def add(settings: "GalleryAdd") -> int:
    """`lookalike gallery add`."""
    from lookalike.cli.model_verbs import open_gallery
    from lookalike.console import progress, say

    given = _given(settings)
    if settings.all_or_nothing and given.problems:
        raise GalleryUsageError(
            f"images={settings.images}: {len(given.problems)} cannot be used, so none was added; first: "
            f"{given.problems[0]}"
        )
    for note in [*given.notes, *given.problems]:
        say(f"images={settings.images}: {note}")
    errors: dict[int, str] = {}
    with open_gallery(settings) as gallery, progress("enrolling", len(given.files)) as advance:
        gallery.add(
            given.files,
            given.labels,
            camera=given.camera,
            columns=given.columns,
            boxes=given.boxes,
            note=settings.note,
            keep_copies=settings.keep_copies,
            errors=None if settings.all_or_nothing else errors,
            progress=advance,
        )
        for text in errors.values():
            say(text)
        give(images=gallery.last_added, change=gallery.last_change, problems=[*given.problems, *errors.values()])
        show(f"{counted(gallery.last_added, 'image')} added: {gallery}")
    return 1 if errors or given.problems else 0


def _given(settings: "GalleryAdd") -> "ToEnrol":
    """What is to be enrolled; its problems make the exit code 1."""
    from lookalike.data.image_files import PassedOver
    from lookalike.gallery.enrolment_table import ToEnrol, read_enrolment
    from lookalike.inference.image_table import is_table
    from lookalike.inference.queries import find_queries

    if is_table(settings.images):
        return read_enrolment(settings.images, settings.label, settings.camera, settings.columns)
    passed = PassedOver()
    files = find_queries(settings.images, passed, setting="images")
    lost = tuple(passed.lost)
    notes = tuple(note for note in passed.notes if note not in lost)
    return ToEnrol(files, settings.label, settings.camera, dict(settings.columns), None, notes, lost)


def list_images(settings: "GalleryList") -> int:
    """`lookalike gallery list`."""
    with _opened(settings.gallery) as gallery:
        seen = gallery if settings.at is None else gallery.at(settings.at)
        labels = seen.labels
        give(labels=labels, images=None if settings.label is None else seen.images(settings.label))
        width = max(map(len, labels), default=0)
        lines: list[object] = [f"{label:<{width}}  {count}" for label, count in labels.items()]
        if settings.label is not None:
            lines = [*seen.images(settings.label)]
        for line in [seen, *lines]:
            show(line)
    return 0


def rename(settings: "GalleryRename") -> int:
    """`lookalike gallery rename`."""
    return _changed(
        settings,
        lambda gallery: gallery.rename(settings.label, settings.to, note=settings.note),
        lambda count: f"{_are(count)} called {settings.to!r} now",
    )


def merge(settings: "GalleryMerge") -> int:
    """`lookalike gallery merge`."""
    return _changed(
        settings,
        lambda gallery: gallery.merge(settings.labels, settings.to, note=settings.note),
        lambda count: f"{_are(count)} called {settings.to!r} now that had another label",
    )


def move(settings: "GalleryMove") -> int:
    """`lookalike gallery move`."""
    return _changed(
        settings,
        lambda gallery: gallery.move(settings.image, settings.to, note=settings.note),
        lambda count: f"{_are(count)} called {settings.to!r} now that had another label",
    )


def confirm(settings: "GalleryConfirm") -> int:
    """`lookalike gallery confirm`."""
    return _changed(
        settings,
        lambda gallery: gallery.confirm(settings.image, note=settings.note),
        lambda count: f"the label of {counted(count, 'image')} called right",
    )


def _are(count: int) -> str:
    return f"{counted(count, 'image')} {'is' if count == 1 else 'are'}"


def remove(settings: "GalleryRemove") -> int:
    """`lookalike gallery remove`."""
    return _changed(
        settings,
        lambda gallery: gallery.remove(**_chosen(settings), note=settings.note),
        lambda count: f"{counted(count, 'image')} removed",
    )


def forget(settings: "GalleryForget") -> int:
    """`lookalike gallery forget`."""
    with _opened(settings.gallery) as gallery:
        count = gallery.forget(**_chosen(settings), note=settings.note)
        give(images=count)
        them = "it" if count == 1 else "them"
        show(
            f"{counted(count, 'image')} deleted for good; copies, exports and backups of the gallery still hold {them}"
        )
    return 0


def health(settings: "GalleryHealth") -> int:
    """`lookalike gallery health`."""
    with _opened(settings.gallery) as gallery:
        looked = gallery.health()
    give(health=looked)
    show(looked)
    for doubt in looked.doubts[: settings.most]:
        show(doubt)
    if len(looked.doubts) > settings.most:
        show(f"and less similar ones: most={10 * settings.most}")
    if looked.doubts:
        typed = f"gallery={quote(settings.gallery)} image=<number>"
        show(f"Next: lookalike gallery move {typed} to=<label>, or lookalike gallery confirm {typed} where it is right")
    return 0


def log(settings: "GalleryLog") -> int:
    """`lookalike gallery log`."""
    with _opened(settings.gallery) as gallery:
        changes = gallery.log(settings.most + 1)
        give(changes=changes[: settings.most], more=len(changes) > settings.most)
        for change in changes[: settings.most]:
            show(change)
        if len(changes) > settings.most:
            show(f"and earlier ones: most={10 * settings.most}")
        if not changes:
            show("nothing was changed yet")
    return 0


def undo(settings: "GalleryUndo") -> int:
    """`lookalike gallery undo`."""
    with _opened(settings.gallery) as gallery:
        latest = gallery.log(1) if settings.change is None else []
        if settings.change is None and not latest:
            raise GalleryUsageError(f"{settings.gallery}: nothing was changed yet, so there is nothing to take back")
        number = latest[0].number if settings.change is None else settings.change
        for change in latest:
            show(f"the last change: {change}")
    return _changed(
        settings,
        lambda gallery: gallery.undo(number, note=settings.note),
        lambda count: f"change {number} is taken back for {counted(count, 'image')}",
    )


def verify(settings: "GalleryVerify") -> int:
    """`lookalike gallery verify`."""
    with _opened(settings.gallery) as gallery:
        verification = gallery.verify()
        give(verification=verification)
        show(verification)
    return 0 if verification else 1


def compact(settings: "GalleryCompact") -> int:
    """`lookalike gallery compact`."""
    with _opened(settings.gallery) as gallery:
        freed = gallery.compact()
        give(bytes=freed)
        show(f"{freed / 2**20:.1f} MiB given back")
    return 0


def reembed(settings: "GalleryReembed") -> int:
    """`lookalike gallery reembed`."""
    from lookalike.cli.model_verbs import model_to_embed
    from lookalike.console import progress

    _need_model(settings)
    with _opened(settings.gallery) as gallery:
        model = model_to_embed(settings)
        with progress("embedding", len(gallery)) as advance:
            done = gallery.reembed(model, note=settings.note, progress=advance)
        give(reembedded=done)
        show(done)
        show(f"{gallery}, searched by {gallery.model}")
    return 0


def _need_model(settings: "GalleryCreate") -> None:
    if settings.bundle is None and settings.model is None:
        raise GalleryUsageError(
            "what searches it: give bundle=<folder>, or model=<recipe> for a network without training, such as "
            "model=efficientnet_lite2; got neither"
        )


def suggest(settings: "GallerySuggest") -> int:
    """`lookalike gallery suggest`."""
    from lookalike.cli.model_verbs import open_gallery
    from lookalike.outputs import need_folder

    need_folder(Path(settings.output), inputs_of(settings))
    with open_gallery(settings) as gallery:
        suggestions = gallery.suggest(settings.images, least=settings.least)
    written = suggestions.write(settings.output)
    give(suggestions=suggestions)
    show(suggestions)
    show_written(written, written.with_suffix(".html"))
    typed = f"gallery={quote(str(gallery.path))} images={quote(str(written))}"
    show(f"Next: edit the labels in {written}, then lookalike gallery add {typed}")
    return 0


def export(settings: "GalleryExport") -> int:
    """`lookalike gallery export`."""
    from lookalike.outputs import need_folder

    need_folder(Path(settings.output), inputs_of(settings), replaced=True)
    with _opened(settings.gallery) as gallery:
        count = gallery.export(settings.output)
    give(images=count, folder=settings.output)
    wrote(settings.output)
    show(f"{counted(count, 'image')} in {settings.output}: rows.parquet, images/, gallery.json")
    return 0


def import_images(settings: "GalleryImport") -> int:
    """`lookalike gallery import`."""
    with _opened(settings.gallery) as gallery:
        gallery.import_from(settings.input, note=settings.note, keep_copies=settings.keep_copies)
        give(images=gallery.last_added, change=gallery.last_change)
        show(f"{counted(gallery.last_added, 'image')} added: {gallery}")
    return 0


def _opened(place: str) -> "Gallery":
    """Without its model, which is loaded when it is needed."""
    from lookalike.gallery.gallery import Gallery

    return Gallery.open(place)


def _chosen(settings: "GalleryRemove | GalleryForget") -> dict[str, Any]:
    return {"label": settings.label, "image": settings.image, "source": settings.source}


def _changed(
    settings: "GalleryRename | GalleryMerge | GalleryMove | GalleryConfirm | GalleryRemove | GalleryUndo",
    change: "Callable[[Gallery], int]",
    said: Callable[[int], str],
) -> int:
    """Makes a change; says how many images it touched, in such words, and how it is taken back."""
    with _opened(settings.gallery) as gallery:
        count = change(gallery)
        give(images=count, change=gallery.last_change)
        number = gallery.last_change  # of this process: another one may have made later ones meanwhile
        undone = "nothing was changed" if number is None else f"gallery undo change={number} takes it back"
        show(f"{said(count)}; {undone}")
    return 0
