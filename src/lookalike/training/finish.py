"""The best epoch of a run becomes a bundle."""

from pathlib import Path
from typing import Any

from lookalike.console import say
from lookalike.data.manifest import Manifest
from lookalike.data.pixels import PixelSettings
from lookalike.export.export import export
from lookalike.inference.bundle import Bundle
from lookalike.metrics.result import RetrievalResult
from lookalike.models.checkpoint_file import BEST
from lookalike.models.embedder import load_embedder
from lookalike.settings.training import Train
from lookalike.training.history import best_epoch


def finish(
    settings: Train,
    target: Path,
    folder: Path,
    manifest: Manifest,
    history: list[dict[str, float]],
    kept: dict[str, Any],
    seconds: float,
) -> tuple[Bundle, RetrievalResult]:
    """Exports the best epoch."""
    model = {**settings.model.model_dump(), "weights_source": kept["weights_source"]}
    embedder = load_embedder(folder / BEST, model)
    for name, value in (("mean", embedder.mean), ("std", embedder.std)):
        model[name] = [round(part / 255, 6) for part in value.flatten().tolist()]  # another timm may have others
    config = {
        "run": target.name,
        "model": model,
        "loss": settings.loss.model_dump(),
        "labels": manifest.labels,
        "training": {
            "best_epoch": best_epoch(history),
            "epochs": len(history),
            "seed": settings.seed,
            "arithmetic": kept["arithmetic"],
            "seconds": round(seconds, 1),
            "parameters": sum(p.numel() for p in embedder.parameters()),
            "trained_parameters": sum(p.numel() for p in embedder.parameters() if p.requires_grad),
            "images": int((manifest.table["split"] == "train").sum()),
            "history": history,
            "settings": settings.model_dump(exclude={"logger"}),
        },
    }
    say(f"exporting epoch {best_epoch(history)} to {target}")
    pixels = PixelSettings(**settings.pixels.model_dump())
    return export(target, embedder, manifest, pixels, config, settings.false_accept_rate)
