"""What a gallery says about itself: a table of names and values in every store."""

from uuid import uuid4

from lookalike.gallery.rows import ReplacedError, StoreError

SCHEMA = 4  # 1 had no history, 2 kept embeddings and thumbnails among the rows, 3 never changed columns
KEYS = ("fingerprint", "precision", "dimensions", "model")  # what a gallery says about itself, besides its schema
NEEDED = KEYS[:3]  # galleries of earlier versions do not say their model
ERASING = "erasing"  # in about: bytes of forgotten images may still be somewhere


def check_about(name: str, about: dict[str, str]) -> int:
    """The schema of a gallery by what it says about itself.

    Args:
        name: Where it is.
        about: Name -> value.

    Raises:
        StoreError: Of a newer version, or it does not say what it is of.
    """
    schema = about.get("schema", "")
    if not schema.isdigit() or int(schema) > SCHEMA:
        raise StoreError(
            f"{name}: gallery schema {schema or 'missing'}, this version reads up to {SCHEMA}: pip install -U lookalike"
        )
    if missing := [key for key in NEEDED if key not in about]:
        raise StoreError(f"{name}: does not say its {', '.join(missing)}: copy the gallery again")
    return int(schema)


def first_about(about: dict[str, str]) -> dict[str, str]:
    """What a new gallery says about itself, under a name that no other has.

    Args:
        about: What it is of: fingerprint, precision, dimensions, model.
    """
    assert set(about) <= set(KEYS)
    return {"schema": str(SCHEMA), "gallery": uuid4().hex, "last_change": "0", "last_image": "0", **about}


def replaced(name: str) -> ReplacedError:
    """What is raised where a gallery is not what was opened.

    Args:
        name: Where it is.
    """
    return ReplacedError(
        f"{name}: another gallery is there now, or it has another model: run the command again (Gallery.open in Python)"
    )
