"""Dates as cameras, spreadsheets and people write them."""

import numpy as np
import pytest

from lookalike.data.dates import DAY, plain, read_dates, written


@pytest.mark.parametrize(
    ("text", "day", "seconds"),
    [
        ("2024-05-31", "2024-05-31", 0),
        ("2024-05-31 14:22:33", "2024-05-31", 51753),
        ("2024-05-31T14:22:33.5Z", "2024-05-31", 51753.5),
        ("2024-05-31T14:22:33+02:00", "2024-05-31", 51753),
        ("2024:05:31 14:22:33", "2024-05-31", 51753),  # EXIF
        ("2024/05/31 4:22", "2024-05-31", 15720),
        ("20240531", "2024-05-31", 0),
        ("20240531142233", "2024-05-31", 51753),
        ("20240531_142233", "2024-05-31", 51753),
        ("2024-05", "2024-05-01", 0),
        ("2024", "2024-01-01", 0),
        ("31.05.2024", "2024-05-31", 0),
        ("1.5.2024 14:22", "2024-05-01", 51720),
        ("31/05/2024", "2024-05-31", 0),
        ("5/31/2024 2:22 PM", "2024-05-31", 51720),
        ("5/31/2024 12:05 am", "2024-05-31", 300),
        ("31.05.2024 14:22:33,25", "2024-05-31", 51753.25),
        ("0001-01-01", "0001-01-01", 0),
    ],
)
def test_a_date_is_read(text: str, day: str, seconds: float) -> None:
    dates = read_dates([text, ""])
    assert dates.problems == []
    assert written(dates.seconds[0]) == day
    assert dates.seconds[0] % DAY == seconds
    assert dates.timed == (seconds != 0)
    assert np.isnan(dates.seconds[1])


@pytest.mark.parametrize(
    "text", ["soon", "2024-13-01", "31.02.2024", "2024-05-31 25:00", "5", "1/2/24", "٢٠٢٤-٠٥-٣١ x"]
)
def test_what_is_no_date_is_told_with_its_row(text: str) -> None:
    dates = read_dates(["", text, text])
    assert dates.problems == [f"row 3: date is {text!r}: expected such as 2024-05-31 or 31.05.2024"]
    assert np.isnan(dates.seconds).all()


def test_the_column_tells_whether_the_day_is_first() -> None:
    first = read_dates(["03/04/2024", "25/04/2024"])
    assert [written(value) for value in first.seconds] == ["2024-04-03", "2024-04-25"]
    second = read_dates(["03/04/2024", "04/25/2024"])
    assert [written(value) for value in second.seconds] == ["2024-03-04", "2024-04-25"]
    assert first.problems == second.problems == []
    assert read_dates(["04/04/2024"]).problems == []
    unclear = read_dates(["03/04/2024", "05/04/2024"])
    assert unclear.problems == [
        "date is '03/04/2024': day or month first? No date of the column tells: write it as 2024-05-31"
    ]
    both = read_dates(["25/04/2024", "04/25/2024"])
    assert both.problems[0].startswith(
        "date is '25/04/2024' here and '04/25/2024' there: expected day and month in one"
    )


def test_a_cell_is_told_by_its_first_row_or_by_a_name() -> None:
    told = read_dates(["b", "2024", "a", "b"]).problems
    assert told == [
        f"row {row}: date is {text!r}: expected such as 2024-05-31 or 31.05.2024" for row, text in ((4, "a"), (2, "b"))
    ]
    assert read_dates(["2024", "soon"], ["1.jpg", "2.jpg"]).problems[0].startswith("2.jpg: date is 'soon': expected")


@pytest.mark.parametrize("seed", range(5))
def test_every_unreadable_cell_is_told_as_a_search_for_it_would(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = [
        str(rng.choice(["soon", "2024-05-31", "", "x", "?"])) + ("" if rng.random() < 0.5 else " ") for _ in range(50)
    ]
    slow = [text for text in sorted(set(texts) - {""}) if np.isnan(read_dates([text]).seconds[0])]
    assert [told.partition(":")[0] for told in read_dates(texts).problems] == [
        f"row {texts.index(text) + 2}" for text in slow
    ]


def test_plain_dates_are_read_alike_in_every_part_of_a_column() -> None:
    texts = ["04/25/2024 2:22 PM", "05/06/2024", "", "soon", "2024", "2024-05-31 10:00:00.250+02:00"]
    assert plain(texts) == [
        "2024-04-25T14:22:00",
        "2024-05-06",
        "",
        "soon",
        "2024-01-01",
        "2024-05-31T10:00:00.25+0200",
    ]
    whole, part = read_dates(texts), read_dates(plain(texts)[1:2])
    assert part.seconds[0] == whole.seconds[1] != read_dates(texts[1:2]).seconds[0]
    assert part.problems == []
    unclear = ["03/04/2024", "2024-05-31"]
    assert plain(unclear) == unclear


def test_a_day_alone_has_no_clock_and_midnight_has() -> None:
    dates = read_dates(["2024-05-31", "2024-05-31 00:00", "5/31/2024 12:00 am", "", "2024-05-31T10:00Z", "soon"])
    assert dates.clocked.tolist() == [False, True, True, False, True, False]
    assert dates.zones == ["", "+0000"]
    assert read_dates(["2024-05-31T10:00-03:30", "2024-05-31+02:00"]).zones == ["-0330"]
