"""Bundles that travel: to and from the Hugging Face Hub and MLflow's model registry. No torch.

In reading order:

    places       hf:// and mlflow:// addresses, checked
    card         a bundle's card as the Hub reads it, with the licence of its data
    prepared     a copy of a bundle with that card
    huggingface  the Hub
    pyfunc       a bundle as MLflow calls it
    registry     MLflow's model registry
    travel       push and pull
"""
