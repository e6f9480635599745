"""A disk that is full, and a folder that may not be written any more, while a service runs."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
import requests

from attacks import (
    JPEG,
    Reply,
    as_json,
    exchange,
    logged_lines,
    make_gallery,
    need_honest,
    picture,
    request,
    usual_model,
    wait_until,
)
from lookalike import Gallery
from pictures import encoded, noise
from service_processes import Served, served

FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, resource.RLIM_INFINITY))
"""
NOBODY = 65534
RIGHTS_GIVEN_UP = f"""
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: (os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})))
"""


def add(service: Served, seed: int) -> Reply | None:
    files = {"image": ("a.jpg", picture(seed), "image/jpeg")}
    body = requests.Request("POST", service.address, files=files, data={"label": "New"}).prepare()
    assert isinstance(body.body, bytes)
    kind = {"Content-Type": body.headers["content-type"]}
    return exchange(service.address, request("POST", "/v1/gallery/add", body.body, kind))


def kept(service: Served, content: bytes) -> Reply | None:
    return exchange(service.address, request("POST", "/v1/predict?threshold=1&keep_unknown=true", content, JPEG))


def need_alive(service: Served) -> None:
    for sent in (request("POST", "/v1/predict", picture(1), JPEG), request("GET", "/v1/gallery/log")):
        reply = exchange(service.address, sent)
        assert reply is not None
        assert reply.status == 200, reply.body


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    """A limit on file size stands for it."""
    folder = tmp_path / "shop"
    make_gallery(folder, usual_model()).close()
    most = (folder / "gallery.sqlite").stat().st_size + 150_000
    with served(folder, before=FULL.format(most=most)) as service:
        service.wait_ready()
        answers: list[int] = []
        for seed in range(2000, 2200):
            reply = add(service, seed)
            assert reply is not None
            answers.append(reply.status)
            if reply.status != 200:
                error = need_honest(reply, 503, text="cannot be used .* check the disk and its permissions")
                assert error["code"] == "store"
                break
        assert answers[-1] == 503
        for seed in (3000, 3001):
            need_honest(add(service, seed), 503)
        large = encoded(noise(400, 400, 7), "PNG")
        assert len(large) > most
        need_honest(kept(service, large), 503, text="no space left to write it")
        need_alive(service)
        assert service.end() == 0
    assert not [line for line in logged_lines(service.log) if line.get("status") == 500]
    with Gallery.open(folder, usual_model()) as gallery:
        assert gallery.verify()
        assert len(gallery) == 9 + answers.count(200)
    assert not list(folder.rglob("*.tmp"))


def give_up_rights(service: Served, folder: Path) -> None:
    """The process becomes that of a user who may read the folder."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o555 if path.is_dir() else 0o444)
    service.process.send_signal(signal.SIGUSR1)
    status = Path(f"/proc/{service.process.pid}/status")
    wait_until(lambda: f"Uid:\t{NOBODY}\t{NOBODY}" in status.read_text(), "rights: not given up")


@pytest.mark.skipif(not Path("/proc/self/status").is_file() or os.geteuid() != 0, reason="needs root on Linux")
def test_a_folder_that_may_not_be_written_any_more() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "shop"
        make_gallery(folder, usual_model()).close()
        with served(folder, before=RIGHTS_GIVEN_UP) as service:
            service.wait_ready()
            reply = kept(service, picture(5000))
            assert reply is not None
            assert reply.status == 200, reply.body
            [name] = reply.json()["kept"]
            discarded = {"names": [name]}
            give_up_rights(service, folder)
            need_honest(kept(service, picture(5001)), 503, text="nothing can be written there .Permission denied")
            need_honest(
                exchange(service.address, as_json("/v1/unknown/discard", discarded)), 503, text="check the disk"
            )
            need_alive(service)
            added = add(service, 5002)
            assert added is not None
            if added.status != 200:  # its files are open already
                need_honest(added, 503)
            need_alive(service)
            assert service.end() == 0
        assert not [line for line in logged_lines(service.log) if line.get("status") == 500]
        with Gallery.open(folder, usual_model()) as gallery:
            assert gallery.verify()
            assert len(gallery) == 9 + (added.status == 200)
        assert (folder / "unknown" / name).is_file()
