"""Permissions that Airflow does not have."""

from __future__ import annotations

#: What a role needs to add documents, beside Airflow's own permissions: a document runs any command on a worker.
DOCUMENTS = "CWL documents"
