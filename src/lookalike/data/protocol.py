"""Who asks and who answers in one split of a data set.

Letters in shapes: Q queries.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Protocol:
    """Who asks and who answers in one split.

    Attributes:
        references: Rows that are searched, in manifest order.
        queries: Rows that ask, in manifest order.
        own_row: int64 [Q], the row of each query among the references, -1 when it is not one of them.
        text: The same in words, to be printed beside every score.
    """

    references: pd.DataFrame
    queries: pd.DataFrame
    own_row: np.ndarray
    text: str
