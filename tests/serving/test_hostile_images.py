"""Images that are none, or cost more than any photograph: refused by name, the good ones beside them are answered."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from attacks import (
    JPEG,
    Attack,
    Besieged,
    as_form,
    attack,
    besieged,
    exchange,
    fired,
    need_honest,
    part,
    picture,
    request,
    rows,
)
from pictures import encoded, noise


def png(width: int, height: int, rows: bytes = b"\0", more: bytes = b"") -> bytes:
    """A PNG that claims a size; its pixels are what `rows` unpacks to."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = more + chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def text_chunk(size: int) -> bytes:
    """A compressed text inside a PNG that unpacks to `size` bytes."""
    content = b"Comment\0\0" + zlib.compress(b"a" * size, 9)
    return struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))


def tiff(entries: int, count: int) -> bytes:
    """A directory that promises more than the file holds."""
    directory = b"".join(struct.pack("<HHLL", 40_000 + number % 20_000, 1, count, 8) for number in range(entries))
    return b"II*\0" + struct.pack("<LH", 8, entries) + directory + b"\0" * 1000


def looping_tiff() -> bytes:
    """A directory whose next one is itself."""
    return b"II*\0" + struct.pack("<LH", 8, 1) + struct.pack("<HHLL", 256, 3, 1, 10) + struct.pack("<L", 8)


def scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    data = encoded(noise(side, side), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def sized(width: int, height: int) -> bytes:
    """A JPEG that claims another size than it has."""
    data = bytearray(encoded(noise(), "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.jpg", b"\0" * 10_000_000)
    return stream.getvalue()


def svg(text: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{text}</svg>'.encode()


PICTURE = encoded(noise(300, 200), "JPEG")
NO_IMAGE = {
    "nothing": b"",
    "one byte": b"\xff",
    "text": b"hello",
    "a page": b"<!doctype html><script>alert(1)</script>",
    "an svg": svg("<script>alert(1)</script>"),
    "an svg of a file": svg('<image href="file:///etc/passwd"/>'),
    "an svg of entities": b'<!DOCTYPE a [<!ENTITY b "' + b"c" * 1000 + b'">]>' + svg("&b;" * 1000),
    "an archive": archive(),
    "a gzip": gzip.compress(PICTURE),
    "a pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\n",
    "a postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "a program": b"\x7fELF" + bytes(1000),
    "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "a playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a script of magick": b"push graphic-context\nviewbox 0 0 9 9\nimage over 0,0 0,0 'https://localhost/a'\n",
    "a head of jpeg": b"\xff\xd8\xff",
    "a head of png": b"\x89PNG\r\n\x1a\n",
    "a head of gif": b"GIF89a",
    "a head of webp": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    "a head of bmp": b"BM" + b"\xff" * 60,
    "a head of heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "a head of avif": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
    "a head of tiff": b"II*\0\xff\xff\xff\xff",
    "a head of jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 100,
    "zeros": bytes(100_000),
    "noise": np.random.default_rng(0).bytes(100_000),
    "half a jpeg": PICTURE[: len(PICTURE) // 2],
    "half a png": encoded(noise(100, 100))[:5000],
    "a jpeg with a hole": PICTURE[:300] + PICTURE[3000:3100],
    "a dot": encoded(noise(1, 1)),
    "a line": encoded(noise(5000, 1)),
}
BOMBS = {
    "png of 50,000 x 50,000": png(50_000, 50_000),
    "png of 2^31": png(2**31 - 1, 2**31 - 1),
    "png of no width": png(0, 100),
    "png of 10,000 x 10,000 zeros": png(10_000, 10_000, bytes(3_000_000)),
    "png whose text unpacks to 200 MB": png(64, 48, b"\0", text_chunk(200_000_000)),
    "jpeg of 65,500 x 65,500": sized(65_500, 65_500),
    "jpeg of many scans": scans(1000, 600),
    "tiff whose directory promises": tiff(1000, 100_000),
    "tiff whose directory promises 4 GB": tiff(60_000, 2**32 - 1),
    "tiff that turns in a circle": looping_tiff(),
    "bmp of 60,000 x 60,000": b"BM"
    + struct.pack("<LHHLLLLHHL", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0)
    + bytes(20),
    "gif of 65,535 x 65,535": b"GIF89a"
    + b"\xff" * 4
    + b"\x80\0\0"
    + bytes(6)
    + b",\0\0\0\0"
    + b"\xff" * 4
    + b"\0\x08\x01\0\0;",
    "gif of frames": encoded(
        noise(200, 200), "GIF", save_all=True, append_images=[noise(200, 200, n) for n in range(9)]
    ),
    "ppm of comments": b"P3\n" + b"#\n" * 200_000 + b"4 4\n255\n" + b"1 " * 48,
    "ppm of 99,999 x 99,999": b"P6\n99999 99999\n255\n" + bytes(100),
}
KINDS = ("image/jpeg", "image/svg+xml", "image/x-anything", "application/octet-stream")
AS_BODY = [
    attack(name, request("POST", "/v1/predict", content, JPEG), 422)
    for name, content in {**NO_IMAGE, **BOMBS}.items()
    if name != "gif of frames"
]
AS_FORM = [
    attack(f"{name} to {where}", as_form(where, part("image", content, "a.jpg"), *more), 422, text=r"^a\.jpg: |label")
    for name, content in {**NO_IMAGE, **BOMBS}.items()
    if name != "gif of frames"
    for where, more in (("/v1/embed", []), ("/v1/gallery/add", [part("label", b"Kiwi")]))
]
CALLED = [
    attack(f"{kind} of {name}", request("POST", "/v1/embed", NO_IMAGE[name], {"Content-Type": kind}), 422)
    for kind in KINDS
    for name in ("a page", "an svg", "an archive")
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("images") / "shop") as service:
        yield service


@rows([*AS_BODY, *CALLED])
def test_what_is_no_image_is_refused(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


@rows(AS_FORM)
def test_what_is_no_image_is_refused_in_a_form(shop: Besieged, shot: Attack) -> None:
    fired(shop, shot)


def test_the_good_ones_beside_them_are_answered(shop: Besieged) -> None:
    """Each broken one says what is wrong with it, in its place."""
    contents = [*NO_IMAGE.values(), *(BOMBS[name] for name in BOMBS if name != "gif of frames")]
    parts = [part("image", content, f"{place}.jpg") for place, content in enumerate(contents)]
    reply = exchange(shop.address, as_form("/v1/predict", part("image", picture(1), "good.jpg"), *parts))
    assert reply is not None
    assert reply.status == 200
    items = reply.json()["items"]
    assert [item["image"] for item in items] == ["good.jpg", *(f"{place}.jpg" for place in range(len(contents)))]
    assert items[0]["label"] in ("Kiwi", "Leek", "Banana")
    for item in items[1:]:
        assert item["label"] is None
        assert len(item["error"]) < 400
        assert item["error"].isprintable()
        assert "/tmp" not in item["error"]


def test_all_of_them_at_once(shop: Besieged) -> None:
    """As many threads as there are decode bombs side by side."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as threads:
        for reply in threads.map(lambda shot: exchange(shop.address, shot.sent), AS_BODY):
            need_honest(reply, 422)


def test_none_was_enrolled(shop: Besieged) -> None:
    about = exchange(shop.address, request("GET", "/v1/gallery"))
    assert about is not None
    assert (about.json()["images"], about.json()["gallery_version"]) == (9, 3)


def test_a_picture_of_another_shape_is_one(shop: Besieged) -> None:
    """Not every odd file is an attack."""
    for content in (
        encoded(noise(4, 4)),
        encoded(Image.new("LA", (30, 30))),
        encoded(noise(200, 200), "WEBP"),
        encoded(noise(900, 40), "JPEG"),
        png(64, 48, (b"\0" + bytes(64 * 3)) * 48, text_chunk(1000)),
        png(64, 48, bytes(200_000_000)),  # of which only the first rows are unpacked
    ):
        reply = exchange(shop.address, request("POST", "/v1/embed", content, {"Content-Type": "image/x-unusual"}))
        assert reply is not None
        assert reply.status == 200, reply.body
