"""The CWL API in this process, with users of each role, for its tests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
import uuid
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BASE = "/api/experimental"
TOOL = {"cwlVersion": "v1.2", "class": "CommandLineTool", "arguments": ["true"], "inputs": {}, "outputs": {}}
DOCUMENT = json.dumps(TOOL).encode()
PACKED = base64.b64encode(zlib.compress(DOCUMENT)).decode()
#: Users by name, with their role. `narrow` may read, start and stop the runs of the DAG `mine`, and nothing else.
USERS = {"admin": "Admin", "op": "Op", "user": "User", "viewer": "Viewer", "public": "Public", "narrow": "Narrow"}
#: Users who may see all DAGs and runs, and those who may start and stop all as well.
READERS, STARTERS = {"admin", "op", "user", "viewer"}, {"admin", "op", "user"}
PERMISSIONS = [("can_read", "DAG:mine"), ("can_edit", "DAG:mine")] + [
    (f"can_{action}", "DAG Runs") for action in ("read", "create", "edit")
]


class Api:
    """The application, asked without a server."""

    def __init__(self, app: Any, address: str | None = None) -> None:
        """Note which.

        :param address: where requests come from; none for one of their own.
        """
        self.app, self._client = app, (address or uuid.uuid4().hex, 1)

    def ask(
        self, method: str, path: str, user: str | tuple[str, str] | None = None, base: str = BASE, **more: Any
    ) -> httpx.Response:
        """Return an answer; one that refuses has to be a problem with one sentence.

        :param user: whose login goes along; the password is the name unless it is given.
        :param base: what comes before the path.
        :param more: for httpx.
        """
        auth = (user, user) if isinstance(user, str) else user
        answer = asyncio.run(self._ask(method, base + path, auth=auth, **more))
        if answer.status_code >= 400 and method != "HEAD":
            assert answer.headers["Content-Type"] == "application/problem+json"
            problem = answer.json()
            assert set(problem) == {"type", "title", "status", "detail"}
            assert problem["status"] == answer.status_code
            assert problem["detail"].endswith(".")
            assert "\n" not in problem["detail"]
        return answer

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=self._client)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8081", timeout=60) as client:
            return await client.request(method, path, **more)


def make_users() -> None:
    """Make a user of each role."""
    from cwl_airflow.api.users import Users

    users = Users()
    manager = users._manager.security_manager
    with users._app.app_context():
        narrow = manager.add_role("Narrow")
        for action, resource in PERMISSIONS:
            manager.add_permission_to_role(narrow, manager.create_permission(action, resource))
        for name, role in USERS.items():
            # To check one as Airflow stores it takes 0.1 s.
            digest = hashlib.pbkdf2_hmac("sha256", name.encode(), b"salt", 1).hex()
            manager.add_user(
                name, "A", "B", f"{name}@example.org", manager.find_role(role), hashed_password=f"{HASH}{digest}"
            )


HASH = "pbkdf2:sha256:1$salt$"


def add_dag(folder: Path, dag_id: str) -> None:
    """Add a DAG of one tool, as Airflow's DAG processor would."""
    import rows

    (folder / "tool.cwl").write_bytes(DOCUMENT)
    text = f"from cwl_airflow.extensions.cwldag import CWLDAG\ndag = CWLDAG(workflow={str(folder / 'tool.cwl')!r}, "
    (folder / f"{dag_id}.py").write_text(f"{text}dag_id={dag_id!r})\n", encoding="utf-8")
    rows.read_dag_files(folder)


@cache
def key() -> Any:
    """Return the private key of tokens."""
    return rsa.generate_private_key(65537, 2048)


def public_key() -> str:
    """Return what tokens are checked with (PEM)."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key().public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def sign(claims: dict[str, Any], private: Any = None) -> str:
    """Return a token."""
    return jwt.encode(claims, private or key(), algorithm="RS256")


def bearer(method: str, path: str, body: bytes | None = None, **more: Any) -> dict[str, str]:
    """Return the header with a token for a request."""
    claims = {"exp": int(time.time()) + 60, "sub": "test", "method": method, "path": BASE + path, **more}
    claims.setdefault("jti", uuid.uuid4().hex)
    if body is not None:
        claims["sha256"] = hashlib.sha256(body).hexdigest()
    return {"Authorization": f"Bearer {sign(claims)}"}


def left(home: Path) -> tuple[Any, ...]:
    """Return what there is: files, DAGs, runs, and what tokens used up."""
    # Not what is kept of documents that were read, whatever became of them.
    from airflow import settings

    folders = [home / "dags", *(home / "cwl" / name for name in ("tmp", "inputs", "outputs"))]
    files = [path for folder in folders for path in folder.rglob("*") if "pycache" not in str(path)]
    tables = ["dag_id FROM dag", "dag_id FROM serialized_dag", "dag_id, run_id, state FROM dag_run"]
    tables += ["dag_id, run_id FROM cwl_accepted_runs", "digest FROM cwl_used_tokens"]
    with settings.engine.connect() as connection:
        return sorted(files), *(sorted(connection.exec_driver_sql(f"SELECT {table}").all()) for table in tables)
