"""What is said of a preset (`quality=standard`): what it reached where it was measured, or what wins over it."""

from typing import Any

from lookalike.settings.check import as_typed, check, flat
from lookalike.settings.compose import compose
from lookalike.settings.training import Train

_MEASURED_BY = ("pixels.", "augment.", "online.", "model.", "loss.", "trainer.")
_NO_MATTER = (  # change neither what is trained nor for how long, or by rounding alone
    *("augment.output", "augment.threads", "trainer.precision", "trainer.trunk_cache", "trainer.trunk_cache_gib"),
    *(
        "trainer.device",
        "trainer.devices",
        "trainer.nodes",
        "trainer.threads",
        "trainer.workers",
        "trainer.checkpoint_seconds",
    ),
)
_TELLING = ("model.backbone", "loss.name")  # shown first
_SHOWN = 4  # settings


def preset_line(settings: Train) -> str:
    """The line that a run begins with; empty where there is no preset, or nothing is known of it.

    Args:
        settings: Of the run.

    Raises:
        UsageError: There is no such preset.
    """
    preset = settings.quality
    if preset is None:
        return ""
    if winning := overruled(settings):
        pairs = [f"{name}={as_typed(value)} (not {as_typed(own)})" for name, (value, own) in winning.items()]
        more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
        win = "wins" if len(pairs) == 1 else "win"
        return (
            f"quality={preset.name}: {', '.join(pairs[:_SHOWN])}{more} {win} over it; what the preset reaches and "
            "takes does not hold for this run"
        )
    if preset.accuracy is None:
        return ""
    interval = f"95 % {preset.low:.4f} to {preset.high:.4f}"
    return (
        f"quality={preset.name}: reached accuracy@1 {preset.accuracy:.4f} ({interval}) on validation photographs of "
        f"other shops, in {preset.minutes:.1f} min for {preset.images} training images on {preset.machine}"
    )


def overruled(settings: Train) -> dict[str, tuple[Any, Any]]:
    """What wins over the preset of a run: name -> (value, the preset's own), of all that its figures depend on.

    Args:
        settings: Of a run with a preset.

    Raises:
        UsageError: There is no such preset.
    """
    assert settings.quality is not None
    own = flat(check(Train, compose("train", [("quality", settings.quality.name)])).model_dump())
    given = flat(settings.model_dump())
    every = dict.fromkeys([*_TELLING, *own, *given])
    names = [name for name in every if name.startswith(_MEASURED_BY) and name not in _NO_MATTER]
    pairs = {name: (given.get(name), own.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
