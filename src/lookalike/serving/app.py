"""The application: addresses, what they take and give, and the OpenAPI document of it."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from lookalike import __version__
from lookalike.errors import LookalikeError
from lookalike.palette import VARIABLES
from lookalike.serving import answers, options
from lookalike.serving.documents import asked_by_body, asked_by_form, asked_by_path, asked_by_query
from lookalike.serving.figures import CONTENT_TYPE
from lookalike.serving.guard import Limits, need_write
from lookalike.serving.refusals import RefusalError, disk_of, fault, log_of, places_of, refusal_of, without_places
from lookalike.serving.service import Service
from lookalike.serving.uploads import query_of, read_json, read_upload
from lookalike.serving.work import Work

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": answers.ErrorAnswer} for status in (400, 401, 403, 408, 409, 413, 415, 421, 422, 503)
}
_NOT_KEPT = {"Cache-Control": "no-store"}  # a forgotten image is in no browser
_CSS = "text/css; charset=utf-8"
_KINDS = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
}


def build_app(service: Service, asking: Work, changing: Work, grouping: Work, limits: Limits) -> FastAPI:
    """The application of a service.

    Args:
        service: What it does.
        asking: Threads for the network.
        changing: Threads for the gallery.
        grouping: A thread for groups of unknown images, which take long.
        limits: Of a request.
    """
    app = FastAPI(
        title="lookalike",
        version=__version__,
        summary="Name images by their nearest known ones; keep a gallery of them.",
        docs_url=None,  # their pages come from other hosts
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,  # to wherever the header Host says
    )
    _refuse(app, places_of(*service.places))
    _asking(app, service, asking, limits.images)
    _reading(app, service, asking, changing, limits)
    _changing(app, service, asking, changing, limits.images)
    _unknown(app, service, asking, changing, grouping)
    _watching(app, service, asking, changing)
    _page(app)
    return app


def _refuse(app: FastAPI, places: dict[str, str]) -> None:
    """One form for everything that is not done."""

    async def refused(request: Request, error: Exception) -> Response:
        met = error
        if isinstance(error, LookalikeError):
            error = refusal_of(error)
        elif isinstance(error, HTTPException):
            text = f"{request.method[:16]} {request.url.path[:100]}: {error.detail}: see /v1/openapi.json"
            code = "no_such_address" if error.status_code == 404 else "method"
            error = RefusalError(error.status_code, code, text, dict(error.headers or {}))
        elif isinstance(error, OSError):
            error = disk_of(error)
        elif not isinstance(error, RefusalError):
            error = fault()
        error = without_places(error, places)
        request.scope.setdefault("state", {})["why"] = log_of(met, error)
        return JSONResponse(error.body(), error.status, error.headers)

    for kind in (RefusalError, LookalikeError, HTTPException, OSError, Exception):
        app.add_exception_handler(kind, refused)


def _asking(app: FastAPI, service: Service, work: Work, most: int) -> None:
    route = partial(_route, app, tag="ask")

    async def predict(request: Request) -> Any:
        upload = await read_upload(request, most)
        given = upload.options(options.PredictOptions)
        if given.keep_unknown and request.scope["state"]["right"] != "write":
            raise need_write()
        return await _encoded(work, lambda: service.predict(upload, given))

    async def embed(request: Request) -> Any:
        upload = await read_upload(request, most)
        given = upload.options(options.EmbedOptions)
        return await _encoded(work, lambda: service.embed(upload.images, upload.names, given))

    async def search(request: Request) -> Any:
        given = await read_json(request, options.SearchOptions)
        return await _encoded(work, lambda: service.search(given))

    async def explain(request: Request) -> Any:
        upload = await read_upload(request, 1)
        given = upload.options(options.ExplainOptions)
        return await _encoded(work, lambda: service.explain(upload.images[0], upload.names[0], given))

    async def preview(request: Request) -> Response:
        upload = await read_upload(request, 1)
        upload.options(options.NoOptions)
        jpeg = await work.run(lambda: service.preview(upload.images[0], upload.names[0]))
        return Response(jpeg, media_type="image/jpeg", headers=_NOT_KEPT)

    form = asked_by_form(options.PredictOptions)
    route("POST", "/v1/predict", predict, "Name images by their nearest", answers.PredictAnswer, form)
    route("POST", "/v1/embed", embed, "Embed images", answers.EmbedAnswer, asked_by_form(options.EmbedOptions))
    why = asked_by_form(options.ExplainOptions)
    route("POST", "/v1/explain", explain, "Why an image is similar to an enrolled one", answers.ExplainAnswer, why)
    route("POST", "/v1/preview", preview, "A JPEG of one image", None, asked_by_form(options.NoOptions))
    body = asked_by_body(options.SearchOptions)
    route("POST", "/v1/search", search, "Search by embeddings", answers.SearchAnswer, body)


def _reading(app: FastAPI, service: Service, asking: Work, work: Work, limits: Limits) -> None:
    route = partial(_route, app, tag="gallery")

    async def about(request: Request) -> Any:
        query_of(request, options.NoOptions)
        about = await work.run(service.about)
        own = {"schema": answers.SCHEMA, "max_images": limits.images, "max_bytes": limits.body}
        most = {"max_neighbours": options.MOST_NEIGHBOURS}
        return {**about, **own, **most, "right": request.scope["state"]["right"]}

    async def labels(request: Request) -> Any:
        query_of(request, options.NoOptions)
        return await _encoded(work, service.labels)

    async def images(request: Request) -> Any:
        given = query_of(request, options.ImagesOptions)
        return await _encoded(work, lambda: service.images(given))

    async def log(request: Request) -> Any:
        given = query_of(request, options.LogOptions)
        return await _encoded(work, lambda: service.log(given.most, given.before))

    async def health(request: Request) -> Any:
        query_of(request, options.NoOptions)
        return await _encoded(asking, service.health)

    async def thumbnail(request: Request) -> Response:
        text = request.path_params["number"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
        jpeg = await work.run(lambda: service.thumbnail(number)) if number else b""
        if not jpeg:
            raise RefusalError(404, "no_image", f"image {text[:40]}: has no picture here: see /v1/gallery/images")
        return Response(jpeg, media_type="image/jpeg", headers=_NOT_KEPT)

    route("GET", "/v1/gallery", about, "What the gallery is", answers.GalleryAnswer, {})
    route("GET", "/v1/labels", labels, "Its labels", answers.LabelsAnswer, {})
    number = asked_by_path("number", "of the image")
    query = asked_by_query(options.ImagesOptions)
    route("GET", "/v1/gallery/images", images, "The images of a label", answers.ImagesAnswer, query)
    route("GET", "/v1/gallery/log", log, "The latest changes", answers.LogAnswer, asked_by_query(options.LogOptions))
    route("GET", "/v1/gallery/health", health, "What should be looked at", answers.HealthAnswer, {})
    route("GET", "/v1/images/{number}/thumbnail", thumbnail, "The small picture of an image", None, number)


def _changing(app: FastAPI, service: Service, asking: Work, work: Work, most: int) -> None:
    route = partial(_route, app, tag="change")

    async def add(request: Request) -> Any:
        upload = await read_upload(request, most)
        given = upload.options(options.AddOptions)
        return await _encoded(asking, lambda: service.add(upload.images, upload.names, given))

    form = asked_by_form(options.AddOptions)
    route("POST", "/v1/gallery/add", add, "Enrol images under a label", answers.AddAnswer, form)
    verbs: tuple[tuple[str, str, type[Any], Callable[[Any], Any]], ...] = (
        ("rename", "Give a label another name", options.RenameOptions, service.rename),
        ("merge", "Make several labels one", options.MergeOptions, service.merge),
        ("move", "Give single images another label", options.MoveOptions, service.move),
        ("confirm", "Say that the labels of single images are right", options.ConfirmOptions, service.confirm),
        ("remove", "Take images out; undo brings them back", options.RemoveOptions, service.remove),
        ("forget", "Delete images for good", options.RemoveOptions, service.forget),
        ("undo", "Take a change back", options.UndoOptions, service.undo),
    )
    for verb, text, kind, function in verbs:
        body, address = asked_by_body(kind), f"/v1/gallery/{verb}"
        route("POST", address, _verb(work, kind, function), text, answers.ChangeAnswer, body)


def _verb(work: Work, kind: type[Any], function: Callable[[Any], Any]) -> Callable[[Request], Awaitable[Any]]:
    async def verb(request: Request) -> Any:
        given = await read_json(request, kind)
        return await _encoded(work, lambda: function(given))

    return verb


def _unknown(app: FastAPI, service: Service, asking: Work, changing: Work, grouping: Work) -> None:
    route = partial(_route, app, tag="unknown")

    async def groups(request: Request) -> Any:
        given = query_of(request, options.UnknownOptions)
        return await _encoded(grouping, lambda: service.unknowns.groups(given.least))

    async def kept(request: Request) -> Any:
        query_of(request, options.NoOptions)
        return await _encoded(changing, service.unknowns.listing)

    async def picture(request: Request) -> Response:
        name = request.path_params["name"]
        jpeg = await changing.run(lambda: service.unknowns.picture(name))
        return Response(jpeg, media_type="image/jpeg", headers=_NOT_KEPT)

    named = asked_by_path("name", "as it is listed")
    query = asked_by_query(options.UnknownOptions)
    route("GET", "/v1/unknown/groups", groups, "Kept unknown images, in groups", answers.UnknownAnswer, query)
    route("GET", "/v1/unknown", kept, "Kept unknown images", answers.KeptImagesAnswer, {})
    route("GET", "/v1/unknown/{name}/thumbnail", picture, "The small picture of one", None, named)
    for verb, text, kind, function in (
        ("enrol", "Enrol some of them", options.EnrolUnknownOptions, service.enrol_unknown),
        ("discard", "Delete some of them", options.DiscardUnknownOptions, service.discard_unknown),
    ):
        made, body = _verb(asking, kind, function), asked_by_body(kind)
        route("POST", f"/v1/unknown/{verb}", made, text, answers.ChangeAnswer, body)


def _watching(app: FastAPI, service: Service, asking: Work, changing: Work) -> None:
    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        images = await changing.run(service.ready)
        return JSONResponse({"status": "ready", "images": images})

    async def metrics(request: Request) -> Response:
        await changing.run(service.ready)
        service.figures.waiting.set(asking.inside)
        return Response(service.figures.text(), headers={"Content-Type": CONTENT_TYPE})

    for address, function in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        _plain(app, address, function)


def _page(app: FastAPI) -> None:
    """The files of the page, by the names that they have in the package: no path comes from a request."""
    _plain(app, "/static/colours.css", _file(_colours(), _CSS))
    for file in sorted(files("lookalike.serving").joinpath("page").iterdir(), key=lambda file: file.name):
        ending = file.name.rpartition(".")[2]
        if ending not in _KINDS:
            continue
        content = file.read_bytes()
        address = "/" if file.name == "index.html" else f"/static/{file.name}"
        _plain(app, address, _file(content, f"{_KINDS[ending]}; charset=utf-8"))


def _plain(app: FastAPI, address: str, function: Callable[[Request], Awaitable[Response]]) -> None:
    """An address that is not in the document; a route of the framework's own, by which it is counted and logged."""
    app.add_api_route(
        address,
        function,
        methods=["GET", "HEAD"],
        include_in_schema=False,
        response_model=None,
        response_class=Response,
    )


def _colours() -> bytes:
    """The palette as names that style sheets use."""
    light, dark = (
        "".join(f"--{name}:{getattr(colour, paper)};" for name, colour in VARIABLES.items())
        for paper in ("light", "dark")
    )
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}".encode()


def _file(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Type": kind}

    async def file(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    return file


def _route(
    app: FastAPI,
    method: str,
    address: str,
    function: Callable[[Request], Awaitable[Any]],
    summary: str,
    answer: type[BaseModel] | None,
    asked: dict[str, Any],
    *,
    tag: str,
) -> None:
    """An address that answers with JSON; what it gives is not copied through its model, which tests hold it to."""

    async def answered(request: Request) -> Response:
        made = await function(request)
        if isinstance(made, Response):
            return made
        return Response(made if isinstance(made, bytes) else _json(made), media_type="application/json")

    responses: dict[int | str, dict[str, Any]] = dict(_ERRORS)
    responses[200] = {"model": answer} if answer else {"content": {"image/jpeg": {}}}
    app.add_api_route(
        address,
        answered,
        methods=[method],
        summary=summary,
        responses=responses,
        openapi_extra=asked,
        tags=[tag],
        operation_id=address.strip("/").replace("/", "_").replace("{", "").replace("}", ""),
        response_class=Response,
    )


async def _encoded(work: Work, function: Callable[[], object]) -> bytes:
    """What a function gives as JSON, encoded by the same thread: a large answer would hold up every other request."""
    return await work.run(lambda: _json(function()))


def _json(values: object) -> bytes:
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()
