"""The verb eval on embeddings that are stored: no model, no images."""

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.cli.inputs import inputs_of
from lookalike.errors import LookalikeError
from lookalike.terminal import give, show, show_each

if TYPE_CHECKING:
    from lookalike.settings.verbs import EvalCommand


class StoredEvalError(LookalikeError):
    """A setting of eval has no meaning for embeddings that are stored."""


def evaluate_embeddings(settings: "EvalCommand") -> int:
    """`lookalike eval queries=... references=...`."""
    from lookalike.evaluation.streaming import evaluate_stored
    from lookalike.files import as_json
    from lookalike.metrics.options import EvaluationOptions
    from lookalike.outputs import need_files, own_name, write_files

    queries, references = _sides(settings)
    source = f"{references} asked by {queries}"
    name = "-".join(dict.fromkeys(place.rstrip("/").rpartition("/")[2] for place in (queries, references)))
    output = Path(settings.output or f"reports/{name}.json")
    if not settings.output:
        output = own_name(output, source, "stored")
    table = output.with_suffix(".parquet")
    need_files(output, [table], inputs_of(settings))
    options = EvaluationOptions(similarity=settings.similarity, rerank=settings.rerank)
    measured = evaluate_stored(queries, references, camera_rule=settings.camera_rule, options=options)
    show(measured.result)
    contents = {output: as_json(measured.to_dict()), table: measured.table.to_parquet(index=False)}
    write_files(output, contents, source)
    give(evaluation=measured.to_dict)
    show_each(list(contents))
    return 0


def _sides(settings: "EvalCommand") -> tuple[str, str]:
    """The places of both sides; refuses what embeddings alone cannot tell."""
    if settings.queries is None:
        raise StoredEvalError(
            f"references={settings.references}: who asks them: give queries=<what lookalike embed wrote>"
        )
    of_models = ("bundle", "gallery", "ckpt_path", "ckpt_key", "model", "pixels", "pool")
    given = [name for name in of_models if getattr(settings, name) is not None]
    given += ["data.root"] if settings.data.root else []
    given += ["logger"] if settings.logger else []
    if given:
        raise StoredEvalError(
            f"queries={settings.queries} and {given[0]}: embeddings are evaluated as they are: leave {given[0]} out"
        )
    return settings.queries, settings.references or settings.queries
