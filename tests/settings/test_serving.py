"""The settings of `lookalike serve`: what it starts with, and what stops it."""

import re

import pytest

from lookalike.cli.arguments import read_settings
from lookalike.errors import LookalikeError


def test_the_first_values_serve_this_computer_alone() -> None:
    settings = read_settings("serve", ["gallery=shop"])
    assert (settings.host, settings.port, settings.tokens, settings.demo) == ("127.0.0.1", 8000, None, False)
    assert (settings.max_megabytes, settings.max_images, settings.waiting, settings.seconds) == (64, 64, 64, 30)


def test_lists_and_small_numbers() -> None:
    settings = read_settings("serve", ["hosts=[shop,shop.local]", "max_megabytes=0.5", "waiting=0", "port=0"])
    assert (settings.hosts, settings.max_megabytes, settings.waiting, settings.port) == (
        ["shop", "shop.local"],
        0.5,
        0,
        0,
    )


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("port=-1", "port=-1: expected greater than or equal to 0"),
        ("port=65536", "port=65536: expected less than or equal to 65535"),
        ("port=http", "port=http: expected a"),
        ("host=", "host="),
        ("max_megabytes=0", "max_megabytes=0: expected greater than 0"),
        ("max_megabytes=5000", "max_megabytes=5000: expected less than or equal to 4096"),
        ("max_images=0", "max_images=0: expected greater than or equal to 1"),
        ("waiting=-1", "waiting=-1: expected greater than or equal to 0"),
        ("seconds=0", "seconds=0: expected greater than 0"),
        ("seconds=4000", "seconds=4000: expected less than or equal to 3600"),
        ("seconds=nan", "seconds="),
        ("hosts=shop", "hosts=shop: expected a valid list"),
        ("tokens=", "tokens=: expected a path, found an empty text"),
        ("tokens=https://shop/tokens.txt", "tokens=.*an address"),
        ("device=tpu", "device=tpu: expected 'auto', 'cpu' or 'cuda'"),
        ("token=secret", "token: unknown setting; did you mean tokens?"),
    ],
)
def test_what_stops_it(argument: str, text: str) -> None:
    with pytest.raises(LookalikeError, match=re.escape(text).replace(r"\.\*", ".*")):
        read_settings("serve", ["gallery=shop", argument])
