"""The tasks of a CWL document."""
