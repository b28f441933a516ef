"""Create Airflow's administrator, or set role and password, from JSON on standard input; say "changed" if so.

`airflow users create` takes the password on its command line, where every user of the host sees it.
"""

import json
import sys

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from werkzeug.security import check_password_hash

wanted = json.load(sys.stdin)
with get_application_builder() as builder:
    manager = builder.sm
    role = manager.find_role("Admin")
    user = manager.find_user(username=wanted["name"])
    if user is None:
        try:
            manager.add_user(wanted["name"], "Site", "Administrator", wanted["email"], role, wanted["password"])
        except Exception as error:
            reason = f"Airflow refused the administrator {wanted['name']} <{wanted['email']}>: is the address taken?"
            raise SystemExit(reason) from error
    elif role in user.roles and check_password_hash(user.password or "", wanted["password"]):
        sys.exit()
    else:
        if role not in user.roles:
            user.roles.append(role)
        if not manager.reset_password(user.id, wanted["password"]):
            raise SystemExit(
                f"Airflow gives {wanted['name']} no password: is it the name of a person of the directory?"
            )
print("changed")
