"""The best epoch of a run becomes a bundle."""

from typing import Any

from lookalike.console import say
from lookalike.data.pixels import PixelSettings
from lookalike.export.export import Trained, export
from lookalike.inference.bundle import Bundle
from lookalike.inference.bundle_config import NetworkConfig, TrainingSummary, UnknownsConfig
from lookalike.metrics.result import RetrievalResult
from lookalike.models.checkpoint_file import BEST
from lookalike.models.embedder import load_embedder
from lookalike.training.checkpoint import need_best
from lookalike.training.history import best_epoch
from lookalike.training.plan import Plan


def finish(
    plan: Plan,
    history: list[dict[str, float]],
    hyper_parameters: dict[str, Any],
    seconds: float,
    folds: UnknownsConfig | None = None,
) -> tuple[Bundle, RetrievalResult]:
    """Exports the best epoch.

    Args:
        plan: The run.
        history: A line per epoch.
        hyper_parameters: Of the module: where the first weights came from, and the precision.
        seconds: Of all sessions.
        folds: Unknown images that thresholds are chosen by; None for those of validation.

    Returns:
        The bundle, and its validation result.
    """
    settings = plan.settings
    model = NetworkConfig(**settings.model.model_dump(), weights_source=hyper_parameters["weights_source"])
    need_best(plan.checkpoint / BEST, best_epoch(history))
    pixels = PixelSettings.of(settings.pixels.model_dump())
    embedder = load_embedder(plan.checkpoint / BEST, model, pixels)
    # Another version of timm may have other ones.
    spread = {
        name: [round(part / 255, 6) for part in value.flatten().tolist()]
        for name, value in (("mean", embedder.mean), ("std", embedder.std))
    }
    summary = TrainingSummary(
        best_epoch=best_epoch(history),
        epochs=len(history),
        seed=settings.seed,
        arithmetic=hyper_parameters["arithmetic"],
        seconds=round(seconds, 1),
        parameters=sum(p.numel() for p in embedder.parameters()),
        trained_parameters=sum(p.numel() for p in embedder.parameters() if p.requires_grad),
        images=int((plan.manifest.table["split"] == "train").sum()),
        history=history,
        settings=settings.model_dump(exclude={"logger"}),
    )
    say(f"exporting epoch {best_epoch(history)} to {plan.target}")
    trained = Trained(
        embedder,
        model.model_copy(update=spread),
        pixels,
        settings.loss.model_dump(),
        summary,
    )
    include = settings.gallery.validation
    bundle, result = export(plan.target, trained, plan.manifest, settings.false_accept_rate, folds, include)
    if text := two_figures(history, result, summary.arithmetic, bundle.config.precision):
        say(text)
    return bundle, result


def two_figures(history: list[dict[str, float]], result: RetrievalResult, trained_in: str, runs_in: str) -> str:
    """Why the kept epoch has another figure in the curves than in its bundle; empty where it has not.

    Args:
        history: A line per epoch.
        result: Of the bundle on validation.
        trained_in: The arithmetic of training.
        runs_in: That of the bundle.
    """
    best = best_epoch(history)
    pairs = [
        (name.replace("map", "mAP"), history[best - 1][f"validation/{name}"], result.metrics[name])
        for name in ("accuracy@1", "map")
        if best and name in result.metrics
    ]
    if all(f"{curve:.4f}" == f"{of_bundle:.4f}" for _, curve, of_bundle in pairs):
        return ""
    figures = "; ".join(
        f"{name} {curve:.4f} in training, {of_bundle:.4f} of the bundle" for name, curve, of_bundle in pairs
    )
    return (
        f"validation of epoch {best}: {figures}: training rounds in torch ({trained_in}), the bundle in OpenVINO "
        f"({runs_in}), so near ties fall otherwise; the bundle's figures are what eval, report and predict give"
    )
