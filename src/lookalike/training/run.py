"""From settings to a bundle: data, copies, model, Lightning's trainer, export. A killed run goes on where it was."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from lookalike.console import say
from lookalike.data.manifest import Manifest
from lookalike.data.offline_copies import default_output, make_copies
from lookalike.data.reading import broken_images, read_data
from lookalike.data.splits import nothing_held_out
from lookalike.data.tables import ManifestError
from lookalike.errors import listed
from lookalike.files import only_one, set_aside
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.metrics.result import RetrievalResult
from lookalike.models.checkpoint_file import LAST
from lookalike.models.world import ALONE
from lookalike.settings.preset import preset_line
from lookalike.settings.training import Train
from lookalike.training.build import build, torch_device
from lookalike.training.checkpoint import check_best, compare_settings, earlier_state
from lookalike.training.estimate import estimate
from lookalike.training.finish import finish
from lookalike.training.fit import fit, prepare_process, quiet
from lookalike.training.follow import follow
from lookalike.training.history import finished
from lookalike.training.launch import meet, need_devices, world_of
from lookalike.training.parents import Parent
from lookalike.training.plan import Plan, TrainError, Watch, checkpoint_folder
from lookalike.training.preflight import check_first_weights, check_run
from lookalike.training.team import Team
from lookalike.training.unknown_folds import unknowns_by_folds


def train(
    settings: Train, parent: Parent | None = None, watch: Watch | None = None
) -> tuple[Bundle, RetrievalResult | None]:
    """Trains, or continues, or finds that the run is finished.

    Args:
        settings: Of the run.
        parent: The comparison that it belongs to.
        watch: Gets the history after every epoch; True ends the run early.

    Returns:
        The bundle, and its validation result (None when the run was finished before).

    Raises:
        Abandoned: The watch ended the run.
        LookalikeError: Something in the data, the settings or an earlier session stands in the way.
    """
    with _state_of_the_caller():
        quiet()
        device = torch_device(settings.trainer.device)
        world, by = world_of(settings.trainer, os.environ)
        need_devices(settings.trainer, device)
        if by and (parent or watch):
            raise TrainError(f"compare and tune start processes for the devices themselves: start them without {by.by}")
        if by and not world.first:
            follow(world, meet(by), device)
            raise SystemExit(0)  # whoever called has its bundle in the first process
        if line := preset_line(settings):
            say(line)
        plan = Plan(settings, _read_data(settings), parent, watch, world)
        lock = plan.checkpoint.with_name(f".{plan.run}.lock")
        busy = f"run {plan.run} is being trained by another process"
        with only_one(lock, busy), Team(world, by, device) as team:
            return _train(plan, team)


@contextmanager
def _state_of_the_caller() -> Iterator[None]:
    """A program that trains has its own random numbers, warnings and threads of torch back at the end."""
    threads, filled = torch.get_num_threads(), torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        with isolate_rng(), warnings.catch_warnings():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


def _train(plan: Plan, team: Team) -> tuple[Bundle, RetrievalResult | None]:
    settings, fresh = plan.settings, plan.settings.resume == "never"
    state = _earlier_state(plan)
    history = state["lookalike"]["history"] if state else []
    done = finished(history, settings.trainer.max_epochs, settings.trainer.patience)
    if done and plan.target.exists():
        bundle = load_bundle(plan.target)
        if (bundle.config.included is not None) == settings.gallery.validation:
            say(f"run {plan.run} is finished: nothing to do; give run=<another name>, or resume=never to start over")
            return bundle, None
        include = ",".join(settings.gallery.include)
        say(f"run {plan.run} is finished: only its bundle is written again, with gallery.include=[{include}]")
    if state:
        check_best(plan.checkpoint, state)
    if not done:
        team.start()
    _check_images(plan.manifest)
    prepare_process(plan)
    if not done:
        team.order(plan, state)
    module, datamodule = build(replace(plan, world=ALONE) if done else plan, state)
    for old in (plan.checkpoint, plan.target) if fresh else ():
        if aside := set_aside(old):
            say(f"{old} is kept as {aside}")
    seconds = float(state["callbacks"].get("KeepState", {}).get("seconds", 0.0)) if state else 0.0
    if not done:
        if remaining := estimate(settings, module, datamodule, state):
            say(str(remaining))
        seconds = fit(plan, module, datamodule, state)
        history = module.history
    hyper_parameters = dict(module.hparams)
    folds = unknowns_by_folds(plan, lambda fold: _train(fold, team)[0])
    return finish(plan, history, hyper_parameters, seconds, folds)


def _earlier_state(plan: Plan) -> dict[str, Any] | None:
    """The checkpoint of an earlier session, None where there is none or it is not wanted.

    Raises:
        LookalikeError: It was begun with other settings, or only its bundle is left.
    """
    if plan.settings.resume == "never":
        return None
    if (plan.checkpoint / LAST).is_file():
        state = earlier_state(plan.checkpoint / LAST)
        alone = "give run=<another name>, or resume=never to start over (the old run is kept)"
        way_out = "or give name=<another> to start anew" if plan.parent else alone
        before, now = state["hyper_parameters"]["settings"], plan.binding_settings
        compare_settings(f"run {plan.run}", before, now, way_out)
        return state
    if plan.target.exists():
        raise TrainError(
            f"{plan.target}: a bundle of that name exists, but no checkpoint of it: give run=<another name>, "
            "or resume=never to replace it (it is kept)"
        )
    return None


def _read_data(settings: Train) -> Manifest:
    manifest = read_data(**settings.data.model_dump())
    if not (manifest.table["split"] == "validation").any():
        advice = "add validation/<class>/, or hold some out with data.validation_share=0.2"
        if settings.data.validation_share:
            advice = nothing_held_out(settings.data.split or ("individual" if manifest.cameras_expected else None))
        raise ManifestError(f"{settings.data.root}: no validation images, so the best model cannot be chosen: {advice}")
    queries, references = manifest.sides("validation")
    if not set(queries["label"]) & set(references["label"]):
        raise ManifestError(
            f"{settings.data.root}: no validation image has a label among the references, so the best model cannot be "
            "chosen: put images of training labels into validation too, or give validation images the roles query and "
            "reference in a table"
        )
    check_run(settings, manifest)
    options = settings.augment
    if options.per_class is not None:
        if not (checkpoint_folder(settings) / LAST).is_file():
            check_first_weights(settings)
        output = Path(options.output) if options.output else default_output(manifest.root)
        say(f"copies: up to {options.per_class} images per class in {output}")
        names = ("per_class", "seed", "strength", "max_side", "threads")
        manifest = manifest.with_augmented(make_copies(manifest, output, **options.model_dump(include=set(names))))
    return manifest


def _check_images(manifest: Manifest) -> None:
    """Every image of train and validation must decode before the first step, not in epoch three."""
    rows = manifest.table[manifest.table["split"].isin(["train", "validation"])]
    if broken := broken_images(manifest, rows):
        raise ManifestError(
            f"{manifest.root}: {len(broken)} image(s) cannot be used: mend or remove them, or leave them out with "
            f"lookalike audit data.root={manifest.root} apply=safe:\n  {listed(broken)}"
        )
