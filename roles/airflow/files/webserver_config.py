"""How people log in, for FAB, which runs this file as Python wherever Airflow loads it ([fab] config_file).

What the site says is in logins.json beside it. Secrets are credentials of the services where people log in: without
them, as in a command of the host, the rest works.
"""

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride, FabException
from flask_appbuilder.const import AUTH_DB, AUTH_LDAP, AUTH_OAUTH
from sqlalchemy import func, inspect, select
from werkzeug.security import check_password_hash

_log = logging.getLogger("airflow.logins")
_site = json.loads(Path(__file__).with_name("logins.json").read_text(encoding="utf-8"))
_ldap, _oidc = _site.get("ldap"), _site.get("oidc")
#: In place of a password's hash: no password has it.
_NO_PASSWORD = "!"  # nosec B105  # none
#: What does not answer by then would hold up whoever logs in, and in the end all others.
_SECONDS = 10
#: Directories and databases know letters that are others for them, and the same for each other.
_NAME = re.compile(r"[A-Za-z0-9_.@+-]+")


def _secret(name: str) -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder, name).read_text(encoding="utf-8") if folder else ""


def _opens(password: str | None) -> bool:
    """Tell whether somebody logs in by a password, given its hash: FAB has let people in by none, with that of ""."""
    return password not in (None, "", _NO_PASSWORD) and not check_password_hash(password, "")


class _SecurityManager(FabAirflowSecurityManagerOverride):  # type: ignore[misc]  # Airflow is on the hosts only
    """FAB's own, but for who has no role, and for users that were made here."""

    # People come of the directory or the provider, and not by registering.
    registeruseroauthview = staticmethod(lambda: None)

    def auth_user_ldap(self, username: str, password: str, rotate_session_id: bool = True) -> Any:
        """Ask the directory, but for users that were made here, whose names nobody in it can take."""
        if self._is_local(username):
            return self.auth_user_db(username, password, rotate_session_id)
        log_in = super().auth_user_ldap
        return self._admit(username, lambda: log_in(username, password, rotate_session_id))

    def auth_user_oauth(self, userinfo: dict[str, Any], rotate_session_id: bool = True) -> Any:
        """Take whom the provider names, unless it is a user that was made here."""
        username = userinfo.get("username")
        if self._is_local(username):
            _log.warning("Refused %r of the provider: a user of this name was made here", username)
            return None
        log_in = super().auth_user_oauth
        return self._admit(username, lambda: log_in(userinfo, rotate_session_id))

    def _is_local(self, username: Any) -> bool:
        """Tell whether a user was made here, with a password: an administrator, a robot.

        Not by `find_user`, which says that there is none if the database does not answer.
        """
        if not isinstance(username, str):
            return False
        passwords = select(self.user_model.password).where(func.lower(self.user_model.username) == func.lower(username))
        return any(map(_opens, self.session.scalars(passwords)))

    def _admit(self, username: Any, log_in: Callable[[], Any]) -> Any:
        if not isinstance(username, str) or not _NAME.fullmatch(username):
            _log.warning("Refused %r: names have letters of ASCII, digits and _ . @ + -", username)
            return None
        try:
            user = log_in()
        except FabException as error:  # the address is another user's
            _log.warning("Refused %r: %s", username, error)
            return None
        if user is not None and self.get_user_roles(user):
            return user
        _log.warning("Refused %r", username)
        return None

    def _search_ldap(self, ldap: Any, con: Any, username: str) -> tuple[str | None, dict[str, list[bytes]]]:
        """Give whom the directory has the groups, if none: FAB leaves the roles of whom it has no attribute of."""
        name, attributes = super()._search_ldap(ldap, con, username)
        return name, {self.auth_ldap_group_field: [], **attributes} if name is not None else attributes

    def _ldap_calculate_user_roles(self, user_attributes: dict[str, list[bytes]]) -> list[Any]:
        return self._roles(self.ldap_extract_list(user_attributes, self.auth_ldap_group_field))

    def _oauth_calculate_user_roles(self, userinfo: dict[str, Any]) -> list[Any]:
        return self._roles(userinfo["role_keys"])

    def _roles(self, groups: list[str]) -> list[Any]:
        roles = list(self.get_roles_from_keys(groups))
        if not roles and (default := self.find_role(_site["default_role"])):
            roles = [default]
        if not roles:
            _log.warning("airflow_login_roles has none of the groups %s", groups)
        return roles

    def add_user(
        self,
        username: str,
        first_name: str,
        last_name: str,
        email: str,
        role: Any = None,
        password: str = "",  # nosec B107  # none
        hashed_password: str = "",  # nosec B107
        groups: Any = None,
    ) -> Any:
        """Add nobody who has neither role nor password, and none with the empty password."""
        if not password and not hashed_password:
            if not role:
                return None
            hashed_password = _NO_PASSWORD
        return super().add_user(username, first_name, last_name, email, role, password, hashed_password, groups)

    def reset_password(self, userid: int, password: str) -> bool:
        """Give nobody a password who has none here: with it they would stay when they have left the directory."""
        user = self.get_user_by_id(userid)
        return user is not None and _opens(user.password) and bool(super().reset_password(userid, password))

    def update_user(self, user: Any) -> bool:
        """Keep users without a password so, whatever else changes."""
        replaced = inspect(user).attrs.password.history.deleted
        if replaced and not _opens(replaced[0]):
            _log.warning("Refused a password for %r, who has none here", user.username)
            self.session.rollback()
            return False
        return bool(super().update_user(user))

    def set_oauth_session(self, provider: str, oauth_response: dict[str, Any]) -> None:
        """Keep no token of the provider's: nothing asks it again."""

    def get_oauth_user_info(self, provider: str, resp: dict[str, Any]) -> dict[str, Any]:
        """Return what the provider says of somebody in its signed token, and else at its address for that."""
        remote, claims = self.oauth_remotes[provider], resp["userinfo"]
        lacking = {_oidc["user_claim"], _oidc["group_claim"]} - claims.keys()
        if lacking and remote.load_server_metadata().get("userinfo_endpoint"):
            more = remote.userinfo(token=resp)
            claims = {**more, **claims} if more["sub"] == claims["sub"] else claims
        if _oidc["user_claim"] not in claims:
            _log.warning(
                "The provider has no claim %r for airflow_oidc_user_claim: %s", _oidc["user_claim"], list(claims)
            )
        groups = claims.get(_oidc["group_claim"]) or []
        return {
            "username": claims.get(_oidc["user_claim"]),
            "first_name": claims.get("given_name", ""),
            "last_name": claims.get("family_name", ""),
            "email": claims.get("email", ""),
            "role_keys": [groups] if isinstance(groups, str) else groups,
        }


AUTH_TYPE = AUTH_DB
if _ldap or _oidc:
    SECURITY_MANAGER_CLASS = _SecurityManager
    AUTH_USER_REGISTRATION = True
    AUTH_USER_REGISTRATION_ROLE = ""
    AUTH_ROLES_MAPPING = _site["roles"]
    AUTH_ROLES_SYNC_AT_LOGIN = True
if _ldap:
    import ldap

    AUTH_TYPE = AUTH_LDAP
    AUTH_LDAP_SERVER = _ldap["url"]
    AUTH_LDAP_USE_TLS = _ldap["url"].startswith("ldap:")
    AUTH_LDAP_TLS_DEMAND = True
    AUTH_LDAP_TLS_CACERTFILE = "/etc/ssl/certs/ca-certificates.crt"
    AUTH_LDAP_BIND_USER = _ldap["bind_user"]
    AUTH_LDAP_BIND_PASSWORD = _secret("ldap_bind_password")
    AUTH_LDAP_SEARCH = _ldap["search_base"]
    AUTH_LDAP_SEARCH_FILTER = _ldap["search_filter"]
    AUTH_LDAP_UID_FIELD = _ldap["user_attribute"]
    AUTH_LDAP_GROUP_FIELD = _ldap["group_attribute"]
    ldap.set_option(ldap.OPT_NETWORK_TIMEOUT, _SECONDS)
    ldap.set_option(ldap.OPT_TIMEOUT, _SECONDS)
if _oidc:
    AUTH_TYPE = AUTH_OAUTH
    OAUTH_PROVIDERS = [
        {
            "name": "oidc",
            "icon": "fa-key",
            "remote_app": {
                "client_id": _oidc["client_id"],
                "client_secret": _secret("oidc_client_secret"),
                "server_metadata_url": _oidc["url"].rstrip("/") + "/.well-known/openid-configuration",
                "client_kwargs": {
                    "scope": " ".join(_oidc["scopes"]),
                    "code_challenge_method": "S256",
                    "default_timeout": _SECONDS,
                },
            },
        }
    ]
