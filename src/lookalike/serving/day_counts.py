"""How many images were asked per day, and how many were called unknown: kept in a file beside a gallery."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Lock
from time import monotonic

from lookalike.console import say
from lookalike.errors import LookalikeError, one_line
from lookalike.files import write_json

_DAYS = 400  # that are kept
_SAVE_SECONDS = 60.0


@dataclass
class _Day:
    images: int = 0
    unknown: int = 0


class DayCounts:
    """The counts of a service.

    Args:
        file: Where they are kept; None for in memory alone.
    """

    def __init__(self, file: Path | None) -> None:
        self._file, self._lock, self._saved, self._changed = file, Lock(), monotonic(), False
        self._days: dict[str, _Day] = {}
        if file is not None and file.is_file():
            try:
                values = json.loads(file.read_text(encoding="utf-8"))
                self._days = {str(date.fromisoformat(day)): _Day(int(a), int(b)) for day, (a, b) in values.items()}
            except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
                say(f"{file}: not readable ({one_line(error)}): counting begins anew")

    def add(self, images: int, unknown: int) -> None:
        """Counts images of today.

        Args:
            images: That were asked.
            unknown: Of which were called unknown.
        """
        with self._lock:
            day = self._days.setdefault(date.today().isoformat(), _Day())
            day.images, day.unknown, self._changed = day.images + images, day.unknown + unknown, True
            due = monotonic() - self._saved >= _SAVE_SECONDS
        if due:
            self.save()

    def days(self) -> list[tuple[str, int, int]]:
        """Day, images, unknown ones; the oldest first."""
        with self._lock:
            return [(day, count.images, count.unknown) for day, count in sorted(self._days.items())][-_DAYS:]

    def save(self) -> None:
        """Writes them, whole; a full disk costs only these counts, which is told."""
        kept = self.days()
        with self._lock:
            self._saved = monotonic()
            changed, self._changed = self._changed, False
        if self._file is None or not changed:
            return
        try:
            write_json(self._file, {day: [images, unknown] for day, images, unknown in kept})
        except (OSError, LookalikeError) as error:
            with self._lock:
                self._changed = True
            say(f"{self._file}: the counts of unknown images cannot be kept: {one_line(error)}")
