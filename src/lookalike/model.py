"""`Model`: what a notebook and the verbs hold; letters in shapes: N images, D embedding."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import numpy as np

from lookalike.console import say
from lookalike.data.any_image import AnyImage
from lookalike.devices import torch_device
from lookalike.errors import LookalikeError, needing
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.inference.encoder import Encoder, WantedPrecision, need_workers, openvino_encoder
from lookalike.inference.explaining import Explaining
from lookalike.inference.predict import Prediction, Predictions, predict
from lookalike.inference.queries import with_folders
from lookalike.inference.references import References
from lookalike.inference.rejection import Off
from lookalike.metrics.metric_table import metric_table
from lookalike.pages import snippet
from lookalike.settings.data import HeldOut
from lookalike.settings.paths import path_of
from lookalike.settings.types import split_of

if TYPE_CHECKING:
    from lookalike.data.dataset import Dataset
    from lookalike.evaluation.assessment import Assessment
    from lookalike.evaluation.tracklets import Pool
    from lookalike.metrics.exact_grid import Similarity
    from lookalike.metrics.rerank_options import Rerank

Device = Literal["auto", "cpu", "cuda"]


class Model(Explaining):
    """A network ready to embed, and the images it knows.

    Made by `Model.load`, `Model.pretrained`, `Model.from_checkpoint` or `lookalike.train`.

    Attributes:
        name: Of the bundle, the checkpoint or the backbone.
        encoder: The network.
        bundle: The folder it was loaded from, None for a network without one.
        about: Where it comes from, plain values.
    """

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        bundle: Bundle | None = None,
        about: dict[str, Any] | None = None,
        scratch: TemporaryDirectory[str] | None = None,
        held_out: HeldOut = HeldOut(),  # noqa: B008 - frozen
    ) -> None:
        self.name, self.encoder, self.bundle, self.about = name, encoder, bundle, about or {}
        self._held_out = bundle.config.training.held_out if bundle else held_out
        self._scratch = scratch  # holds the graph of a network that has no bundle

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: Device = "auto",
        precision: WantedPrecision = "auto",
        compiled: bool = False,
        workers: int | None = None,
    ) -> "Model":
        """Loads a bundle.

        Args:
            path: `models/<run>`.
            device: `cpu` (OpenVINO), `cuda` (torch) or `auto`: always `cpu`, as it needs no torch.
            precision: `auto` is bf16 where the processor or GPU has it and the bundle agreed with torch in it.
            compiled: On a GPU, let torch compile the network; pays for thousands of images.
            workers: Threads that read images; None = two per core, up to 16. No process is started.

        Raises:
            BundleError: No bundle there, or one that was changed.
            LookalikeError: No torch or no GPU for `cuda`; bf16 for a processor that has none; a misspelt choice.
        """
        _need_choice("device", device, get_args(Device))
        _need_choice("precision", precision, get_args(WantedPrecision))
        need_workers(workers)
        if not isinstance(path, str | Path):
            raise LookalikeError(f"Model.load: expected the folder of a bundle such as models/mine, got {path!r}")
        bundle = load_bundle(path_of(path, "Model.load"))
        on_gpu = device == "cuda"
        encoder = _gpu_encoder(bundle, precision, compiled) if on_gpu else openvino_encoder(bundle, precision)
        encoder = replace(encoder, workers=workers)
        about = {"bundle": str(bundle.path), "fingerprint": bundle.fingerprint, "precision": encoder.precision}
        return cls(bundle.path.resolve().name, encoder, bundle, about)

    @classmethod
    def pretrained(
        cls,
        name: str = "efficientnet_lite0",
        *,
        model: Mapping[str, Any] | None = None,
        pixels: Mapping[str, Any] | None = None,
        device: Device = "auto",
        workers: int | None = None,
    ) -> "Model":
        """A network with its first weights, without training, in float32; needs the extra `train`.

        Args:
            name: A recipe under `configs/model`. The weights of `efficientnet_lite0`, `efficientnet_lite1` and
                `efficientnet_lite2` come with packages, those of the others from timm's hub; `timm` is any backbone.
            model: Settings of the recipe that are to be others: backbone, weights, pooling, mean, std.
            pixels: How images are read, where not as the recipe says: height, width, resize, interpolation, antialias.
            device: `auto` is `cuda` where there is one.
            workers: See `load`.

        Raises:
            SettingsError: A setting of `model` or `pixels` is unknown or out of range.
            LookalikeError: There is no such recipe, its weights cannot be had, there is no GPU for `cuda`, or the extra
                `train` is not installed.
        """
        _need_choice("device", device, get_args(Device))
        need_workers(workers)
        from lookalike.export.untrained import recipe, untrained_encoder
        from lookalike.settings.check import flat

        settings = recipe(name, model, pixels)
        with needing("train", "Model.pretrained"):
            scratch = TemporaryDirectory(prefix="lookalike-", ignore_cleanup_errors=True)
            encoder = untrained_encoder(Path(scratch.name), settings, torch_device(device))
        encoder = replace(encoder, workers=workers)
        built = settings.model_dump()["model"]
        about = {
            "pretrained": built["backbone"] if name == "timm" else name,
            "precision": encoder.precision,
            **flat(built, "model."),
            **flat(encoder.pixels.to_dict(), "pixels."),
        }
        return cls(about["pretrained"], encoder, about=about, scratch=scratch)

    @classmethod
    def from_checkpoint(
        cls,
        file: str | Path,
        *,
        model: Mapping[str, Any] | None = None,
        pixels: Mapping[str, Any] | None = None,
        allow_partial: bool = False,
        ckpt_key: str | None = None,
        device: Device = "auto",
        workers: int | None = None,
    ) -> "Model":
        """Takes the network out of a checkpoint, of lookalike or of any other project; no pickle is executed.

        What is not said of another project's is worked out from the file (`lookalike inspect` shows it).

        It runs in float32, on a processor through the graph that its bundle would have, so both give the same numbers.

        Args:
            file: A Lightning checkpoint, a state dict, `.safetensors`, or a graph (`.onnx`, OpenVINO's `.xml`).
            model: For another project's: backbone, embedding_size, pooling, bn_neck, last_stride, mean, std.
            pixels: For another project's: height, width, usual_size, resize, shorter_side, border, interpolation,
                antialias.
            allow_partial: Also when not every tensor of the model is in the file.
            ckpt_key: Which set of weights, where the file holds several, such as `state_dict_ema`; which output of a
                graph.
            device: `auto` is `cuda` where there is one.
            workers: See `load`.

        Raises:
            SettingsError: A setting of `model` or `pixels` is unknown or out of range.
            LookalikeError: The file cannot be read or is of another architecture; no GPU for `cuda`; the extra `train`
                is not installed.
        """
        _need_choice("device", device, get_args(Device))
        need_workers(workers)
        file = path_of(file, "Model.from_checkpoint")
        with needing("train", "Model.from_checkpoint"):
            from lookalike.export.network_encoder import Asked, encoder_of_checkpoint

        scratch = TemporaryDirectory(prefix="lookalike-", ignore_cleanup_errors=True)
        asked = Asked(model or {}, pixels or {}, allow_partial, ckpt_key)
        encoder, about, held_out = encoder_of_checkpoint(file, asked, Path(scratch.name), torch_device(device))
        encoder = replace(encoder, workers=workers)
        name = f"{file.resolve().parent.name}-{file.stem}"
        return cls(name, encoder, about=about, scratch=scratch, held_out=held_out)

    def keep_network(self, folder: Path) -> bool:
        """Writes a network that has no bundle into a folder of its own, from which `own_model` of a gallery loads it.

        Args:
            folder: New.

        Returns:
            Whether it was written: not for a bundle, which is one, nor for a network that torch runs.
        """
        from lookalike.inference.kept_network import keep_network

        return self._scratch is not None and keep_network(self.encoder, Path(self._scratch.name), folder)

    @property
    def references(self) -> References:
        """The images it knows.

        Raises:
            LookalikeError: It has no bundle, so it knows none.
        """
        if self.bundle is None:
            raise LookalikeError(f"{self.name}: knows no images: put some into a Gallery, or load a bundle")
        return self.bundle.references

    @property
    def labels(self) -> list[str]:
        """The labels it was trained on, sorted; none for a network without a bundle."""
        return self.bundle.config.labels if self.bundle else []

    @property
    def held_out(self) -> HeldOut:
        """Which training images were held out of its training."""
        return self._held_out

    def embed(
        self,
        images: AnyImage | Iterable[AnyImage],
        *,
        errors: dict[int, str] | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> np.ndarray:
        """Embeds images.

        Args:
            images: N files (paths or text), bytes, uint8 arrays [H, W, 3] or pictures of Pillow, or one; a folder
                is the images in it, sorted.
            errors: When given, an unusable image is noted here (index -> reason) and its row is zero.
            progress: Called with the number of images done since the last call.

        Returns:
            float32 [N, D], unit length.

        Raises:
            ImageError: An image cannot be used and `errors` is None.
        """
        return self.encoder.embed(with_folders(images, "embed")[0], errors=errors, progress=progress)

    @overload
    def predict(  # type: ignore[overload-overlap]  # text is a path, never an iterable of images
        self,
        images: AnyImage,
        k: int | None = None,
        *,
        threshold: float | Off | None = None,
        false_accept_rate: float | Off | None = None,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        images: Iterable[AnyImage],
        k: int | None = None,
        *,
        threshold: float | Off | None = None,
        false_accept_rate: float | Off | None = None,
    ) -> Predictions: ...

    def predict(
        self,
        images: AnyImage | Iterable[AnyImage],
        k: int | None = None,
        *,
        threshold: float | Off | None = None,
        false_accept_rate: float | Off | None = None,
    ) -> Prediction | Predictions:
        """Names images by their k nearest known ones.

        Args:
            images: One image or several; a folder stands for the images in it, sorted.
            k: Neighbours, each with one vote; None for ten, of which vote as was best on validation.
            threshold: Similarity that the nearest must exceed, else the label is `unknown`; `off` for no limit.
            false_accept_rate: Share of unknown images that may get a name, or `off`; None for what the bundle was
                trained with.

        Returns:
            A prediction for one image, `Predictions` for several and for a folder.

        Raises:
            PredictError: No image in a folder.
            GalleryError: k is larger than the number of known images.
            RejectionError: Both limits are given, or none can be chosen for this rate.
            ImageError: A single image cannot be used; among several it gets a prediction with `error`.
        """
        references = self.references
        assert self.bundle is not None
        limit, vote = self.bundle.rejection(threshold, false_accept_rate), self.bundle.config.vote
        listed, alone = with_folders(images, "predict")
        source = str(self.bundle.path)
        made = predict(self.encoder, references, listed, k, source=source, vote_by=vote, rejection=limit, strict=alone)
        return made[0] if alone else made

    def evaluate(
        self,
        data: "Dataset | Mapping[str, Any] | str | Path",
        split: str = "validation",
        *,
        camera_rule: bool = True,
        similarity: "Similarity" = "cosine",
        rerank: "Rerank" = "none",
        pool: "Pool | None" = None,
        camera_rule_seconds: float | None = None,
        elsewhere_seconds: float | None = None,
    ) -> "Assessment":
        """Measures the model on a split: identifies every query from all references.

        Args:
            data: A data set, or where it lies; images that were held out of training are held out again, unless the
                data set has a hold-out of its own: then queries that were trained on are told.
            split: train, validation (also val, valid) or test.
            camera_rule: Leave out references of the query's own label and camera, where cameras are known.
            similarity: How embeddings are compared.
            rerank: How the order is improved.
            pool: `mean`, `max` or `none` of the images of a tracklet; None is `mean` where there are tracklets.
            camera_rule_seconds: Limits the camera rule to what was taken within so many seconds of the query.
            elsewhere_seconds: Leave out what another camera took within so many seconds of the query.

        Raises:
            ManifestError: Problems in the data, an empty split, or images without the time that a rule asks for.
            LookalikeError: There is no such split.
            ImageError: An image cannot be used.
        """
        # Not on top: predicting needs none of it, and pandas alone takes a fifth of a second.
        from lookalike.data.dataset import Dataset
        from lookalike.evaluation.assessment import assess
        from lookalike.evaluation.identify import Rules
        from lookalike.metrics.sightings import TimeRules

        split = split_of(split)
        opened = Dataset.of(data).held_out_as(self.held_out)
        self._tell_of_known_queries(opened, split)
        device: Literal["cpu", "cuda"] = "cuda" if getattr(self.encoder.network, "device", "") == "cuda" else "cpu"
        rules = Rules(camera_rule, similarity, rerank, device, pool, TimeRules(camera_rule_seconds, elsewhere_seconds))
        about = {**self.about, "data": opened.source["root"]}
        if self.labels and not {*self.labels} & {*opened.manifest.table["label"]}:
            about["labels_in_common"] = 0
        open_set = self.bundle.config.open_set if self.bundle else None
        return assess(self.encoder, self.name, opened.manifest, split, rules, about, open_set)

    def _tell_of_known_queries(self, data: "Dataset", split: str) -> None:
        """Says how many queries are images that the model was trained on: the figures are too good by these."""
        if self.bundle is None or split == "train":
            return
        queries = data.protocol(split).queries["path"]
        trained_on = self.bundle.trained_on(map(data.manifest.file, queries))
        if trained_on:
            say(
                f"{trained_on} of {len(queries)} queries are images that {self.name} was trained on: figures are too "
                "good by these; measure it with the hold-out of its training, or on other images"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process loads the bundle again."""
        if self.bundle is None:
            raise LookalikeError(f"{self.name}: has no bundle that another process could load: save one by training")
        on_gpu = getattr(self.encoder.network, "device", "cpu") == "cuda"
        return _load, (str(self.bundle.path.resolve()), "cuda" if on_gpu else "cpu", self.encoder.precision)

    def __repr__(self) -> str:
        knows = ""
        if self.bundle:
            knows = f", knows {len(self.references)} images of {len(set(self.references.labels))} labels"
        pixels = self.encoder.pixels
        return (
            f"Model({self.name!r}: {self.encoder.size} dimensions from {pixels.height} x {pixels.width} pixels, "
            f"{self.encoder.precision}{knows})"
        )

    def _repr_html_(self) -> str:
        """In a notebook: the figures of the images that its epoch was chosen by, where a bundle holds them."""
        measured = self.bundle.config.metrics.get("validation") if self.bundle else None
        table = metric_table(measured.metrics, measured.intervals_95) if measured else None
        return snippet(repr(self), table)


def _load(path: str, device: Device, precision: WantedPrecision) -> Model:
    return Model.load(path, device=device, precision=precision)


def _gpu_encoder(bundle: Bundle, precision: WantedPrecision, compiled: bool) -> Encoder:
    from lookalike.devices import need_cuda

    need_cuda()
    from lookalike.models.torch_network import gpu_encoder

    return gpu_encoder(bundle, precision, compiled)


def _need_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise LookalikeError(f"{name}={value!r}: expected one of {', '.join(choices)}")
