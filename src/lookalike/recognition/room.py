"""A network is made only where the file that is said to hold it has room for its weights."""

from pathlib import Path

from lookalike.errors import CheckpointError

_SAVED_IN = 4  # weights may have been saved in a quarter of the bytes that they take here


def need_room_in_the_file(file: Path, needed: int, what: str) -> None:
    """Refuses a network that takes far more memory than its file: a few bytes can be named as a weight of any shape.

    Args:
        file: The checkpoint.
        needed: Bytes of all the weights, as numbers of 32 bits.
        what: Who says that the network is so large, for the error: `its names and shapes are those of a network`.

    Raises:
        CheckpointError: It does.
    """
    there = file.stat().st_size
    if needed > _SAVED_IN * there:
        raise CheckpointError(
            f"{file}: {what} of {needed / 1e6:.0f} MB, found a file of {there / 1e6:.2g} MB: it is damaged: "
            "copy it again"
        )
