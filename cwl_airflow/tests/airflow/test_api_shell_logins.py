"""Logins for who has a shell on the host: for whom there is one, and what it opens."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import stat
from pathlib import Path
from typing import Any

import jwt
import pytest
from api import DOCUMENT, Api
from cwl_airflow.api import shell_logins
from cwl_airflow.api.users import NoShellUser, Users
from cwl_airflow.shell.host import ask_login


@pytest.fixture
def users(api: Api) -> Users:
    """Return Airflow's users, those of `api.USERS`."""
    users = Users()
    users._manager.cache.clear()  # of the users of tests before, who had the same ids
    return users


def token_of(users: Users, name: str, role: str = "User", full_name: str = "") -> dict[str, Any]:
    """Return the headers with the token of a shell."""
    return {"headers": {"Authorization": f"Bearer {users.shell_token(name, full_name, role, 60)}"}}


@pytest.mark.parametrize("name", ["user", "carol"])
def test_the_token_of_a_shell_is_that_user_s_and_no_more(api: Api, users: Users, name: str) -> None:
    token = token_of(users, name)
    assert api.ask("GET", "/dags", **token).status_code == 200
    assert api.ask("POST", "/dag_runs?dag_id=mine&run_id=run&conf={}", **token).status_code == 200
    files = {"workflow": ("a.cwl", DOCUMENT)}
    assert api.ask("POST", "/dags?dag_id=new", files=files, **token).status_code == 403
    with users._app.app_context():
        known = users._manager.security_manager.find_user(username=name)
        assert [role.name for role in known.roles] == ["User"]


def test_who_is_new_gets_the_role_that_the_site_says_and_no_password(api: Api, users: Users) -> None:
    token = token_of(users, "carol", role="Viewer", full_name="Carol Example")
    assert api.ask("GET", "/dags", **token).status_code == 200
    assert api.ask("POST", "/dag_runs?dag_id=mine&run_id=run&conf={}", **token).status_code == 403
    for password in ("carol", "!", "x"):
        assert api.ask("GET", "/dags", user=("carol", password)).status_code == 401
    # Another role for those that are new changes nobody.
    assert api.ask("POST", "/dag_runs?dag_id=mine&run_id=r&conf={}", **token_of(users, "carol")).status_code == 403


@pytest.mark.parametrize(
    ("name", "role", "why"),
    [
        ("admin", "User", "'admin' is an administrator in Airflow, which no shell is: use sudo."),
        ("Admin", "User", "Airflow has a user 'admin', who may be another person than Admin."),
        ("new", "Admin", "[cwl] shell_role is 'Admin', which is no role of Airflow for a shell."),
        ("new", "Nobody", "[cwl] shell_role is 'Nobody', which is no role of Airflow for a shell."),
    ],
)
def test_nobody_becomes_another_by_a_shell(api: Api, users: Users, name: str, role: str, why: str) -> None:
    with pytest.raises(NoShellUser) as error:
        users.shell_token(name, "", role, 60)
    assert str(error.value) == why


def test_who_is_not_active_gets_none_and_an_old_one_is_over(api: Api, users: Users) -> None:
    token = token_of(users, "user")
    with users._app.app_context():
        manager = users._manager.security_manager
        known = manager.find_user(username="user")
        known.active = False
        manager.update_user(known)
    users._manager.cache.clear()  # Airflow looks again after half a minute
    with pytest.raises(NoShellUser, match="The user 'user' of Airflow is not active"):
        users.shell_token("user", "", "User", 60)
    assert api.ask("GET", "/dags", **token).status_code == 401


def test_who_has_no_role_is_told_who_gives_one(users: Users) -> None:
    users.shell_token("dora", "", "User", 60)
    with users._app.app_context():
        manager = users._manager.security_manager
        known = manager.find_user(username="dora")
        known.roles = []  # as a directory leaves them that knows no group of hers
        manager.update_user(known)
    with pytest.raises(NoShellUser, match="The user 'dora' of Airflow has no role"):
        users.shell_token("dora", "", "User", 60)


def test_a_token_that_is_not_good_is_refused(api: Api, users: Users) -> None:
    ended = users.shell_token("user", "", "User", -60)
    of_another = jwt.encode(jwt.decode(ended, options={"verify_signature": False}) | {"exp": 2**33}, "k" * 64, "HS512")
    for token in (ended, of_another):
        answer = api.ask("GET", "/dags", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert answer.json()["detail"] == "The token is none of Airflow's, or has expired."


def test_a_person_of_the_host_is_asked_for_by_id(api: Api, users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setenv("AIRFLOW__CWL__SHELL_GROUP", grp.getgrgid(nobody.pw_gid).gr_name)
    login = shell_logins.answer_for(users, nobody.pw_uid)
    assert login["user"] == "nobody"
    assert Path(login["places"]["inputs"]).name == "inputs"
    assert api.ask("GET", "/dags", headers={"Authorization": f"Bearer {login['token']}"}).status_code == 200
    assert login["options"]["enable_dev"] is True
    json.dumps(login)
    for uid in (0, os.geteuid()):
        assert "is no person" in shell_logins.answer_for(users, uid)["refused"]
    assert shell_logins.answer_for(users, 4_000_000) == {
        "refused": "This host does not know the user with the id 4000000."
    }
    for group in ("root", "nowhere"):
        monkeypatch.setenv("AIRFLOW__CWL__SHELL_GROUP", group)
        refused = {"refused": f"nobody is not in the group {group}: ask who keeps this host."}
        assert shell_logins.answer_for(users, nobody.pw_uid) == refused


def test_the_kernel_says_who_asks(api: Api, users: Users, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "login.sock"
    monkeypatch.setenv("AIRFLOW__CWL__SHELL_SOCKET", str(path))
    monkeypatch.setenv("CWL_AIRFLOW_LOGIN", str(path))
    asked: list[int] = []
    monkeypatch.setattr(
        shell_logins, "answer_for", lambda _users, uid: asked.append(uid) or {"user": "x", "token": "y"}
    )

    async def ask() -> Any:
        async with shell_logins.shell_logins(users, "http://api"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            return await asyncio.to_thread(ask_login)

    assert asyncio.run(ask()) == {"user": "x", "token": "y", "api": "http://api"}
    assert asked == [os.getuid()]
    assert not path.exists()


def test_without_a_setting_there_is_no_socket(users: Users) -> None:
    async def start() -> None:
        async with shell_logins.shell_logins(users, ""):
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(start())
