"""What a client asks a service: the questions of a gallery, answered as `Gallery` answers them.

Letters in shapes: N images, Q queries, D embedding, K neighbours.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar, overload

import numpy as np

from lookalike.data.any_image import AnyImage, name_of
from lookalike.data.images import ImageError
from lookalike.errors import listed
from lookalike.gallery.approximate import Kind
from lookalike.gallery.columns import Filter
from lookalike.inference.encoder import Box
from lookalike.inference.explanation import Explanation
from lookalike.inference.neighbour import Neighbour
from lookalike.inference.predict import Prediction, Predictions
from lookalike.inference.queries import with_folders
from lookalike.inference.references import GalleryError, checked_k
from lookalike.serving.connection import Connection, ServiceError
from lookalike.serving.sent_images import SentImage, box_fields, boxes_for, fields_of, in_requests, plain_filter, sent

PAGE = 1000  # images, embeddings or changes of one question
_DIGITS = 26  # bytes of a number in JSON
_Value = TypeVar("_Value")
Fields = Callable[[list[SentImage]], dict[str, str]]


class Asking:
    """The questions of `Client`.

    Args:
        connection: To the service.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @overload
    def predict(  # type: ignore[overload-overlap]  # text is a path, never an iterable of images
        self,
        images: AnyImage,
        k: int | None = None,
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
        boxes: Sequence[Box | None] | None = None,
        keep_unknown: bool = False,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        images: Iterable[AnyImage],
        k: int | None = None,
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
        boxes: Sequence[Box | None] | None = None,
        keep_unknown: bool = False,
    ) -> Predictions: ...

    def predict(
        self,
        images: AnyImage | Iterable[AnyImage],
        k: int | None = None,
        *,
        threshold: float | None = None,
        false_accept_rate: float | None = None,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
        boxes: Sequence[Box | None] | None = None,
        keep_unknown: bool = False,
    ) -> Prediction | Predictions:
        """Names images by their k nearest enrolled ones, as `Gallery.predict` does.

        Args:
            images: One image or several; a folder stands for the images in it, sorted. Of a file go its content, its
                name and that of its folder, which may be a label.
            k: Neighbours, each with one vote; None for ten, of which vote as names most enrolled images rightly.
            threshold: Similarity that the nearest must exceed, else the label is `unknown`; None for no limit.
            false_accept_rate: In place of a threshold, the share of unknown images that may get a name.
            where: Column -> the value, or values, of the images that are searched.
            unless: Column -> the value, or values, of images that are left out.
            index: As of `Gallery.predict`; `Predictions.index` says how it was searched.
            boxes: Per image the part of it that is used, x1, y1, x2, y2 in pixels of the upright image; None for the
                whole.
            keep_unknown: Let the service keep those that are called unknown; needs a write token.

        Returns:
            A prediction for one image, `Predictions` for several and for a folder.

        Raises:
            ServiceError: As the service says; also of a single image that it cannot use.
            ImageError: A single image cannot be read here, or none of several can be used.
        """
        given, alone = with_folders(images, "predict")
        options = {"k": k, "threshold": threshold, "false_accept_rate": false_accept_rate}
        filters = {"where": plain_filter(where), "unless": plain_filter(unless)}
        fixed = fields_of(**options, **filters, index=index, keep_unknown=keep_unknown or None)
        parts_of = boxes_for(boxes, len(given))

        def fields(batch: list[SentImage]) -> dict[str, str]:
            return fixed | box_fields(parts_of, batch)

        errors: dict[int, str] = {}
        parts: list[Predictions] = []
        items: dict[int, Prediction] = {}
        unusable = None if alone else errors
        for batch, part in self._sent("/v1/predict", given, _predictions, fields, unusable, folders=True):
            parts.append(part)
            for image, item in zip(batch, part, strict=True):
                error = None if item.error is None else image.told(item.error)
                items[image.place] = replace(item, image=image.name, error=error, query=image.image)
        for place, text in errors.items():
            items[place] = Prediction(name_of(given[place], place), None, None, None, (), text, given[place])
        if not parts:
            raise ImageError(f"predict: none of {len(given)} images can be used:\n  {listed(list(errors.values()))}")
        self._need_one_model({part.fingerprint for part in parts})
        made = replace(parts[0], items=tuple(items[place] for place in range(len(given))))
        return made[0] if alone else made

    def embed(
        self,
        images: AnyImage | Iterable[AnyImage],
        *,
        boxes: Sequence[Box | None] | None = None,
        errors: dict[int, str] | None = None,
    ) -> np.ndarray:
        """Embeds images by the model of the gallery.

        Args:
            images: One or several; a folder stands for the images in it, sorted.
            boxes: As of `predict`.
            errors: When given, an unusable image is noted here (index -> reason) and its row is zero.

        Returns:
            float32 [N, D], unit length.

        Raises:
            ServiceError: As the service says.
            ImageError: An image cannot be used and `errors` is None.
        """
        given, _ = with_folders(images, "embed")
        parts_of = boxes_for(boxes, len(given))
        unusable: dict[int, str] = {}
        made: dict[int, list[float]] = {}
        models: set[str] = set()

        def fields(batch: list[SentImage]) -> dict[str, str]:
            return box_fields(parts_of, batch)

        for batch, (model, rows) in self._sent("/v1/embed", given, _embeddings, fields, unusable):
            models.add(model)
            for image, row in zip(batch, rows, strict=True):
                if isinstance(row, str):
                    unusable[image.place] = image.told(row)
                else:
                    made[image.place] = row
        if unusable and errors is None:
            raise ImageError(listed([unusable[place] for place in sorted(unusable)]))
        self._need_one_model(models)
        size = len(next(iter(made.values()))) if made else int(self._connection.ask_about()["dimensions"])
        embeddings = np.zeros((len(given), size), np.float32)
        if made:
            embeddings[list(made)] = list(made.values())
        if errors is not None:
            errors.update(sorted(unusable.items()))
        return embeddings

    def explain(self, image: AnyImage, number: int, *, box: Box | None = None) -> Explanation:
        """Which regions of an image and of an enrolled one make them alike, as `Gallery.explain`, but without pictures.

        Args:
            image: One that `predict` takes.
            number: Of the enrolled image.
            box: As one of `predict`.

        Raises:
            ServiceError: As the service says; also of an image that it cannot use.
            ImageError: The image cannot be read here.
        """
        parts_of = boxes_for([box], 1)

        def fields(_: list[SentImage]) -> dict[str, str]:
            return fields_of(number=number, box=parts_of and parts_of[0])

        (_, made), *_ = self._sent("/v1/explain", [image], _explanation, fields, None)
        return replace(made, image=name_of(image))

    def search(
        self,
        embeddings: np.ndarray,
        k: int = 10,
        *,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest enrolled images of each embedding, exactly unless asked otherwise.

        Args:
            embeddings: float32 [Q, D], unit length, made by the model of the gallery.
            k: K; all images in a smaller gallery, or where filters leave fewer.
            where: As of `predict`.
            unless: As of `predict`.
            index: As of `Gallery.search`.

        Returns:
            int64 [Q, K] numbers of images, and float32 [Q, K] cosine similarities, nearest first.

        Raises:
            ServiceError: As the service says.
            GalleryError: k is below 1, or embeddings are no finite numbers [Q, D].
        """
        near = self.neighbours(embeddings, k, where=where, unless=unless, index=index)
        most = len(near[0]) if near else min(k, len(self))
        numbers = [[neighbour.number for neighbour in row] for row in near]
        similarity = [[neighbour.similarity for neighbour in row] for row in near]
        return np.array(numbers, np.int64).reshape(-1, most), np.array(similarity, np.float32).reshape(-1, most)

    def neighbours(
        self,
        embeddings: np.ndarray,
        k: int = 10,
        *,
        where: Filter | None = None,
        unless: Filter | None = None,
        index: Kind | None = None,
    ) -> list[tuple[Neighbour, ...]]:
        """Q rows of K neighbours, nearest first: as `search`, with what is known of the images.

        Args:
            embeddings: As of `search`.
            k: As of `search`.
            where: As of `predict`.
            unless: As of `predict`.
            index: As of `search`.
        """
        given = np.asarray(embeddings)
        if given.dtype.kind not in "fiu" or given.ndim != 2 or not np.isfinite(given).all():
            raise GalleryError(
                f"embeddings: expected finite float32 [Q, D], got {given.dtype} {list(given.shape)}: embed the images "
                "first"
            )
        k = checked_k(k)
        options = {"k": k, "where": plain_filter(where), "unless": plain_filter(unless), "index": index}
        about = self._connection.about()
        fitting = int(about["max_bytes"]) // (_DIGITS * given.shape[1] + 1)
        at_once = max(1, min(PAGE, fitting, int(about["max_neighbours"]) // k))
        near: list[tuple[Neighbour, ...]] = []
        for first in range(0, len(given), at_once):
            rows = given[first : first + at_once].astype(np.float32).tolist()
            body = {**options, "embeddings": rows}
            near += self._connection.post("/v1/search", _neighbours(len(rows)), body, changes=False)
        return near

    def __len__(self) -> int:
        return int(self._connection.ask_about()["images"])

    def _need_one_model(self, fingerprints: set[str]) -> None:
        if len(fingerprints) > 1:
            raise ServiceError(f"{self._connection.address}: got another model while it answered: ask again")

    def _sent(
        self,
        path: str,
        images: Sequence[AnyImage],
        parse: Callable[[dict[str, Any], int], _Value],
        fields: Fields,
        errors: dict[int, str] | None,
        *,
        folders: bool = False,
        changes: bool = False,
    ) -> Iterator[tuple[list[SentImage], _Value]]:
        """Images in as many requests as they need, and what is answered to each.

        Args:
            path: Below the address.
            images: As they were given.
            parse: Takes an answer, and the number of its images.
            fields: Gives what is sent beside some of them.
            errors: As of `sent_images.sent`; also for those that the service cannot use.
            folders: Whether the names of their folders go with them.
            changes: Whether the gallery is changed.
        """

        def asked(part: list[SentImage]) -> _Value:
            form = fields(part), [image.part(folders) for image in part]
            return self._connection.post(path, lambda values: parse(values, len(part)), form, changes=changes)

        about = self._connection.about()
        waiting = list[list[SentImage]]()
        for batch in in_requests(sent(images, errors), int(about["max_images"]), int(about["max_bytes"])):
            waiting = [batch]
            while waiting:
                part = waiting.pop(0)
                try:
                    answer = asked(part)
                except ServiceError as error:
                    if error.code != "image" or errors is None:
                        raise
                    if len(part) > 1:  # none of them can be used: each says why
                        waiting += [[image] for image in part]
                    else:
                        errors[part[0].place] = part[0].told(str(error))
                    continue
                yield part, answer


def _predictions(values: dict[str, Any], count: int) -> Predictions:
    made = Predictions.from_dict(values)
    need_count(len(made), count)
    return made


def _explanation(values: dict[str, Any], count: int) -> Explanation:
    return Explanation.from_dict(values)


def _embeddings(values: dict[str, Any], count: int) -> tuple[str, list[list[float] | str]]:
    """Which model, and the row of each image, or why there is none."""
    items: list[dict[str, Any]] = values["items"]
    need_count(len(items), count)
    rows = [str(item["error"]) if item.get("embedding") is None else item["embedding"] for item in items]
    return str(values["fingerprint"]), rows


def _neighbours(count: int) -> Callable[[dict[str, Any]], list[tuple[Neighbour, ...]]]:
    def parse(values: dict[str, Any]) -> list[tuple[Neighbour, ...]]:
        need_count(len(values["items"]), count)
        return [tuple(map(Neighbour.from_dict, item["neighbours"])) for item in values["items"]]

    return parse


def need_count(count: int, expected: int) -> None:
    """Refuses an answer of another number of items.

    Args:
        count: That came.
        expected: That were asked for.

    Raises:
        ValueError: They differ.
    """
    if count != expected:
        raise ValueError(f"{count} items for {expected}")
