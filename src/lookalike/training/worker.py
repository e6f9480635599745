"""The process of a further device: `python -m lookalike.training.worker <port> <processes> <device> <rank>`.

It follows the first process, prints into a file of that one, and ends when that one has gone.
"""

import os
import sys
import threading
from datetime import timedelta


def main(arguments: list[str]) -> int:
    """Follows until nothing is left to train; returns the exit code."""
    port, size, device, rank = arguments
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    # Its imports take seconds: not before somebody sees to the end of the first process.
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    from lookalike.errors import LookalikeError
    from lookalike.models.world import World
    from lookalike.terminal import complain
    from lookalike.training.follow import follow
    from lookalike.training.launch import FOLLOWED, DeviceError

    store = TCPStore("127.0.0.1", int(port), int(size), False, timedelta(minutes=10))
    try:
        follow(World(int(rank), int(size), int(rank), int(size)), store, device)
    except LookalikeError as error:
        complain(error)
        return FOLLOWED if isinstance(error, DeviceError) else 2
    return 0


def _end_with_the_first() -> None:
    """Its end of our standard input closes when it is gone, however it went."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the thread that reads would hold the end up
