"""The model card of a bundle: what the model is, how good it is, and what it cannot tell."""

from typing import Any

from lookalike.pages import render


def model_card(name: str, config: dict[str, Any], result: str) -> str:
    """The card, Markdown.

    Args:
        name: Of the bundle.
        config: As in its `config.json`; with `quantized` the card tells of int8, too.
        result: The figures on validation, as text.
    """
    return render("model_card.md", name=name, config=config, quantized=config.get("quantized"), result=result)
