"""The model card of a bundle: what the model is, how good it is, and what it cannot tell."""

from lookalike.inference.bundle_config import BundleConfig
from lookalike.pages import render


def model_card(name: str, config: BundleConfig, result: str) -> str:
    """The card, Markdown.

    Args:
        name: Of the bundle.
        config: Its settings; those of an int8 bundle tell of that, too.
        result: The figures on validation, as text.
    """
    return render("model_card.md", name=name, config=config, result=result)
