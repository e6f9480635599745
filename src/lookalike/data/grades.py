"""Which references are right for one query, and how hard they are to find: what labels alone cannot say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Grades:
    """The references that are neither wrong nor unknown for one query; each stands in at most one of these.

    Attributes:
        easy: Paths of references that show the same thing plainly.
        hard: Paths of those that show it from afar, from aside, in part or at night.
        junk: Paths of those that neither help nor hurt.
    """

    easy: frozenset[str]
    hard: frozenset[str]
    junk: frozenset[str]

    def sides(self, difficulty: str) -> tuple[frozenset[str], frozenset[str]]:
        """What is right and what is left out, of Radenović et al., CVPR 2018, section 2.3.

        Args:
            difficulty: easy, medium or hard.
        """
        return {
            "easy": (self.easy, self.junk | self.hard),
            "medium": (self.easy | self.hard, self.junk),
            "hard": (self.hard, self.junk | self.easy),
        }[difficulty]


DIFFICULTIES = ("easy", "medium", "hard")
