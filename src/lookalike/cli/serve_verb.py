"""The verb serve."""

from typing import TYPE_CHECKING

from lookalike.errors import LookalikeError, needing
from lookalike.terminal import answer_now, give, show

if TYPE_CHECKING:
    from lookalike.gallery.gallery import Gallery
    from lookalike.settings.serving import ServeCommand


class ServeError(LookalikeError):
    """It is not clear what is to be served."""


def serve(settings: "ServeCommand") -> int:
    """`lookalike serve`."""
    if (settings.gallery is None) != settings.demo:
        given = "both" if settings.gallery else "neither"
        raise ServeError(f"what is served: give gallery=<folder>, or demo=true for example photographs, got {given}")
    if settings.demo and settings.bundle:
        raise ServeError(
            "what is served: demo=true has a model of its own: leave out bundle=, or give gallery=<folder>"
        )
    with needing("serve", "lookalike serve"):
        from lookalike.serving.start import run_service

    def opened() -> "Gallery":
        from lookalike.gallery.gallery import Gallery
        from lookalike.model import Model

        options = {"device": settings.device, "precision": settings.precision}
        if settings.gallery is None:
            from lookalike.serving.demo import demo_gallery

            return Gallery.open(demo_gallery(), None, options)
        model = None
        if settings.bundle:
            model = Model.load(settings.bundle, device=settings.device, precision=settings.precision)
        return Gallery.open(settings.gallery, model, options)

    def ready(address: str, elsewhere: str | None, gallery: "Gallery") -> None:
        give(address=address, elsewhere=elsewhere, gallery=gallery.path, images=len(gallery))
        answer_now()
        show(f"{gallery}, searched by {gallery.model}")
        show(f"serving at {address}  (Ctrl-C ends it)")
        if elsewhere is not None:
            show(f"from other computers: {elsewhere}  (host={settings.host}: every address of this computer)")

    run_service(settings, opened, ready)
    return 0
