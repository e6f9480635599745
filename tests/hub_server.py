"""The Hugging Face Hub as its client sees it: repositories, commits, large files and refusals, in memory."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_writesEverything"
READER = "hf_readsOnly"


@dataclass
class Repository:
    private: bool
    branches: dict[str, str]
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        content = {**self.commits[self.branches[branch]], **files}
        name = hashlib.sha1(
            repr(sorted((path, hashlib.sha256(data).hexdigest()) for path, data in content.items())).encode()
        )
        self.commits[name.hexdigest()] = content
        self.branches[branch] = name.hexdigest()
        return name.hexdigest()

    def resolve(self, revision: str) -> str | None:
        return self.branches.get(revision) or (revision if revision in self.commits else None)


@dataclass
class Hub:
    address: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    status: int | None = None  # what everything but its front page is answered with
    asked: list[str] = field(default_factory=list)

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        repository = self.repositories[name]
        return repository.commits[repository.branches[branch]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, content: Any = b"", **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        lines = {"Content-Type": kind, "Content-Length": str(len(data))}
        for name, value in (lines | {key.replace("_", "-"): text for key, text in headers.items()}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _refuse(self, status: int, code: str = "", text: str = "") -> None:
        self._answer(status, {"error": text or code}, X_Error_Code=code, X_Error_Message=text or code)

    def do_HEAD(self) -> None:
        self._serve()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD  # noqa: N815

    def _serve(self) -> None:
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if path == "/":
            return self._answer(200)
        if self.hub.status is not None:
            return self._refuse(self.hub.status, text=f"refused, token {token}")
        if token and token not in (TOKEN, READER):
            return self._refuse(401, text="Invalid credentials in Authorization header")
        if path == "/api/repos/create":
            return self._create(json.loads(body), token)
        if path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if cut := re.fullmatch(r"/large/([0-9a-f]{64})", path):
            assert hashlib.sha256(body).hexdigest() == cut[1]
            self.hub.large[cut[1]] = body
            return self._answer(200)
        if cut := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return self._batch(json.loads(body))
        if cut := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(\w+)(?:/(.+))?)?", path):
            return self._api(cut[1], cut[2] or "", cut[3] or "main", body, token)
        if cut := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(cut[1], cut[2], cut[3], token)
        return self._refuse(404, text=path)

    def _create(self, wanted: dict[str, Any], token: str) -> None:
        name = f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else f"me/{wanted['name']}"
        if token != TOKEN:
            return self._refuse(401 if not token else 403, text="You don't have the rights to create a model")
        if name in self.hub.repositories:
            return self._refuse(409, text="You already created this model repo")
        first = "0" * 40
        self.hub.repositories[name] = Repository(
            wanted.get("visibility") == "private" or bool(wanted.get("private")), {"main": first}, {first: {}}
        )
        return self._answer(200, {"url": f"{self.hub.address}/{name}", "name": name, "id": name})

    def _batch(self, wanted: dict[str, Any]) -> None:
        objects = [
            {**item, "actions": {"upload": {"href": f"{self.hub.address}/large/{item['oid']}", "header": {}}}}
            for item in wanted["objects"]
        ]
        return self._answer(200, {"transfer": "basic", "objects": objects})

    def _visible(self, name: str, token: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        return None if repository is None or (repository.private and not token) else repository

    def _api(self, name: str, verb: str, revision: str, body: bytes, token: str) -> None:
        repository = self._visible(name, token)
        if repository is None:
            return self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        if verb in ("preupload", "commit", "branch") and token != TOKEN:
            return self._refuse(403, text="You don't have the rights to write")
        if verb == "branch":
            if revision in repository.branches:
                return self._refuse(409, text="Reference already exists")
            repository.branches[revision] = repository.branches["main"]
            return self._answer(200, {})
        if verb == "preupload":
            files = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith((".bin", ".safetensors")) else "regular"}
                for f in files
            ]
            return self._answer(200, {"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        commit = repository.resolve(revision)
        if commit is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if verb == "commit":
            return self._commit(name, repository, revision, body)
        if verb == "tree":
            return self._answer(200, [self._entry(path, data) for path, data in repository.commits[commit].items()])
        siblings = [{"rfilename": path} for path in repository.commits[commit]]
        about = {"id": name, "modelId": name, "sha": commit, "private": repository.private, "siblings": siblings}
        return self._answer(200, {**about, "tags": [], "downloads": 0, "likes": 0})

    def _entry(self, path: str, data: bytes) -> dict[str, Any]:
        return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

    def _commit(self, name: str, repository: Repository, branch: str, body: bytes) -> None:
        files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        commit = repository.commit(branch, files)
        url = f"{self.hub.address}/{name}/commit/{commit}"
        return self._answer(200, {"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def _file(self, name: str, revision: str, path: str, token: str) -> None:
        repository = self._visible(name, token)
        if repository is None:
            return self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        commit = repository.resolve(revision)
        data = repository.commits[commit].get(path) if commit else None
        if data is None:
            return self._refuse(404, "EntryNotFound" if commit else "RevisionNotFound", path)
        return self._answer(
            200, data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit=str(commit), Accept_Ranges="none"
        )


@contextmanager
def running_hub() -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("_Bound", (_Handler,), {"hub": hub})  # type: ignore[assignment]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
