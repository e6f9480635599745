"""How many images were asked per day, and how many were called unknown: kept in a file beside a gallery.

Several services may share the file: each adds what it counted itself since it last wrote.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from threading import Lock
from time import monotonic

from lookalike.console import say
from lookalike.errors import LookalikeError, one_line
from lookalike.files import only_one, write_json

_DAYS = 400  # that are kept
_SAVE_SECONDS = 60.0
_Days = dict[str, tuple[int, int]]  # day -> images, unknown ones


class DayCounts:
    """The counts of a service.

    Args:
        file: Where they are kept; None for in memory alone.
        today: The day of an image that is asked now.
    """

    def __init__(self, file: Path | None, today: Callable[[], date] = date.today) -> None:
        self._today = today
        self._file, self._lock, self._saving, self._saved = file, Lock(), Lock(), monotonic()
        self._added: _Days = {}  # by this service, since it last wrote
        self._written: _Days = {}
        try:
            self._written = self._read()
        except OSError as error:
            self._tell_unreadable(error)

    def add(self, images: int, unknown: int) -> None:
        """Counts images of today.

        Args:
            images: That were asked.
            unknown: Of which were called unknown.
        """
        with self._lock:
            self._added = _sum(self._added, {self._today().isoformat(): (images, unknown)})
            due = monotonic() - self._saved >= _SAVE_SECONDS
        if due:
            self.save()

    def days(self) -> list[tuple[str, int, int]]:
        """Day, images, unknown ones; the oldest first."""
        with self._lock:
            return [(day, *counts) for day, counts in _sum(self._written, self._added).items()]

    def save(self) -> None:
        """Adds them to the file, whole; a full disk costs only these counts, which is told."""
        with self._saving:
            with self._lock:
                self._saved, added = monotonic(), dict(self._added)
            if self._file is None or not added:
                return
            try:
                with only_one(self._file.with_name(f".{self._file.name}.lock"), "", lambda: None):
                    written = _sum(self._read(), added)
                    write_json(self._file, {day: list(counts) for day, counts in written.items()})
            except (OSError, NotImplementedError, LookalikeError) as error:
                say(f"{self._file}: the counts of unknown images cannot be kept: {one_line(error)}")
                return
            with self._lock:
                left = {
                    day: (a - added.get(day, (0, 0))[0], b - added.get(day, (0, 0))[1])
                    for day, (a, b) in self._added.items()
                }
                self._written, self._added = written, {day: counts for day, counts in left.items() if any(counts)}

    def _read(self) -> _Days:
        """What the file holds; nothing where it is damaged, which is told."""
        if self._file is None or not self._file.is_file():
            return {}
        content = self._file.read_bytes()
        try:
            values = json.loads(content.decode("utf-8"))
            return {str(date.fromisoformat(day)): (int(a), int(b)) for day, (a, b) in values.items()}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            self._tell_unreadable(error)
            return {}

    def _tell_unreadable(self, error: Exception) -> None:
        say(f"{self._file}: not readable ({one_line(error)}): counting begins anew")


def _sum(first: _Days, second: _Days) -> _Days:
    """Both together, the latest days."""
    images, unknown = Counter[str](), Counter[str]()
    for days in (first, second):
        for day, counts in days.items():
            images[day] += counts[0]
            unknown[day] += counts[1]
    return {day: (images[day], unknown[day]) for day in sorted(images)[-_DAYS:]}
