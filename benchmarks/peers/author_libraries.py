"""Kinds of checkpoints of libraries that are no projects of re-identification: transformers, open-metric-learning."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from author_kind import Kind, quiet
from PIL import Image
from torch import Tensor, nn


def hugging_face_kind(
    build: Callable[[Any], nn.Module], run: Callable[[Any, Tensor], Tensor], processor: str, **settings: Any
) -> Kind:
    """A network of transformers with random weights, its save_pretrained, its image processor.

    Args:
        build: Makes the network, given the package.
        run: What is taken as embedding, of the network and what the processor makes of images.
        processor: Name of its image processor.
        settings: Of this.
    """
    import transformers

    with quiet():
        reads = getattr(transformers, processor)(**settings)

    def save(network: Any, folder: Path) -> Path:
        with quiet():
            network.save_pretrained(folder)
            reads.save_pretrained(folder)
        return folder / "model.safetensors"

    def read(file: str) -> Tensor:
        with Image.open(file) as picture:
            made: Tensor = reads(images=picture.convert("RGB"), return_tensors="pt")["pixel_values"][0]
        return made

    return Kind(
        *("transformers", "transformers", lambda: build(transformers), run, read, save), size=(224, 224), golden=False
    )


def oml_kind(arch: str) -> Kind:
    """An extractor of open-metric-learning with its Albumentations, in a module as its ExtractorModule."""
    import lightning
    from lightning.pytorch.callbacks import ModelCheckpoint
    from oml.models import ResnetExtractor, ViTExtractor
    from oml.transforms.images.albumentations import get_normalisation_resize_albu
    from oml.utils.images.images import imread_cv2

    steps = get_normalisation_resize_albu(im_size=224)

    class Module(lightning.LightningModule):
        """Attributes of oml.lightning.modules.extractor.ExtractorModule, which needs an older Lightning."""

        def __init__(self, extractor: nn.Module) -> None:
            super().__init__()
            self.model = extractor
            self.criterion = nn.Linear(8, 3)

        def configure_optimizers(self) -> None:
            return None

    def build() -> nn.Module:
        if arch.startswith("vit"):
            return ViTExtractor(weights=None, arch=arch, normalise_features=False)
        return ResnetExtractor(weights=None, arch=arch, gem_p=None, remove_fc=True, normalise_features=False)

    def save(network: nn.Module, folder: Path) -> Path:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kept = ModelCheckpoint(folder, monitor="OVERALL/cmc/1", mode="max")
            trainer = lightning.Trainer(
                *(), accelerator="cpu", logger=False, max_epochs=0, callbacks=[kept], enable_progress_bar=False
            )
            trainer.strategy.connect(Module(network))
            trainer.save_checkpoint(folder / "best.ckpt")
        return folder / "best.ckpt"

    return Kind(
        "open-metric-learning",
        "open-metric-learning",
        build,
        lambda network, images: network(images),
        lambda file: steps(image=imread_cv2(file))["image"],
        save,
        size=(224, 224),
        golden=False,
    )


def open_clip_kind(quick: bool) -> Kind:
    """A CLIP of open_clip with a small text tower, saved as its training does, its configuration beside it."""
    import json

    import open_clip

    text = {"context_length": 16, "vocab_size": 99, "width": 64, "heads": 1, "layers": 1}
    vision = {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32}
    scales = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    steps = open_clip.image_transform(224, is_train=False, **scales)

    def save(network: nn.Module, folder: Path) -> Path:
        state = {f"module.{name}": value for name, value in network.state_dict().items()}
        torch.save({"epoch": 1, "name": "run", "state_dict": state}, folder / "epoch_1.pt")
        model = {"embed_dim": 512, "quick_gelu": quick, "vision_cfg": vision, "text_cfg": text}
        content = {
            "model_cfg": model,
            "preprocess_cfg": {"interpolation": "bicubic", "resize_mode": "shortest", **scales},
        }
        (folder / "open_clip_config.json").write_text(json.dumps(content), encoding="utf-8")
        return folder / "epoch_1.pt"

    return Kind(
        *("CLIP", "open_clip_torch"),
        lambda: open_clip.CLIP(512, vision, text, quick_gelu=quick),
        lambda network, images: network.encode_image(images),
        lambda file: steps(Image.open(file)),
        save,
        size=(224, 224),
        golden=False,
    )


def _first(network: Any, images: Tensor) -> Tensor:
    made: Tensor = network(images).last_hidden_state[:, 0]
    return made


def _pooled(network: Any, images: Tensor) -> Tensor:
    made: Tensor = network(images).pooler_output
    return made.flatten(1)


def library_kinds() -> dict[str, Callable[[], Kind]]:
    """Name -> what makes the kind; widths and depths are those of a published network each."""
    tiny = {"hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 768}
    small = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "image_size": 518, "patch_size": 14}
    clip = {"hidden_size": 768, "patch_size": 32}
    text = {
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 64,
        "vocab_size": 99,
    }

    def clip_model(package: Any) -> nn.Module:
        sizes = {"projection_dim": 512}
        model: nn.Module = package.CLIPModel(
            package.CLIPConfig(text_config=text | sizes, vision_config=clip | sizes, **sizes)
        )
        return model

    def image_features(network: Any, images: Tensor) -> Tensor:
        made = network.get_image_features(pixel_values=images)
        return made if isinstance(made, torch.Tensor) else made.pooler_output

    return {
        "huggingface-vit": lambda: hugging_face_kind(
            lambda package: package.ViTModel(package.ViTConfig(**tiny)), _first, "ViTImageProcessor"
        ),
        "huggingface-dinov2": lambda: hugging_face_kind(
            lambda package: package.Dinov2Model(package.Dinov2Config(**small)),
            _pooled,
            "BitImageProcessor",
            size={"shortest_edge": 256},
            crop_size={"height": 224, "width": 224},
        ),
        "huggingface-clip": lambda: hugging_face_kind(clip_model, image_features, "CLIPImageProcessor"),
        "huggingface-siglip": lambda: hugging_face_kind(
            lambda package: package.SiglipVisionModel(package.SiglipVisionConfig()), _pooled, "SiglipImageProcessor"
        ),
        "huggingface-dinov2-registers": lambda: hugging_face_kind(
            lambda package: package.Dinov2WithRegistersModel(package.Dinov2WithRegistersConfig(**small)),
            _pooled,
            "BitImageProcessor",
            size={"shortest_edge": 256},
            crop_size={"height": 224, "width": 224},
        ),
        "huggingface-siglip-whole": lambda: hugging_face_kind(
            lambda package: package.SiglipModel(
                package.SiglipConfig(text_config=text, vision_config={"hidden_act": "gelu_pytorch_tanh"})
            ),
            image_features,
            "SiglipImageProcessor",
        ),
        "huggingface-deit": lambda: hugging_face_kind(
            lambda package: package.DeiTModel(package.DeiTConfig(**tiny)), _first, "DeiTImageProcessor"
        ),
        "openclip-vit-b-32": lambda: open_clip_kind(quick=False),
        "openclip-vit-b-32-quickgelu": lambda: open_clip_kind(quick=True),
        "huggingface-convnext": lambda: hugging_face_kind(
            lambda package: package.ConvNextModel(package.ConvNextConfig()),
            _pooled,
            "ConvNextImageProcessor",
            size={"shortest_edge": 224},
        ),
        "huggingface-swin": lambda: hugging_face_kind(
            lambda package: package.SwinModel(package.SwinConfig()), _pooled, "ViTImageProcessor", resample=3
        ),
        "oml-resnet18": lambda: oml_kind("resnet18"),
        "oml-vits16-dino": lambda: oml_kind("vits16"),
    }
