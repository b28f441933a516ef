"""The routes of the CWL API. Each declares what it asks of a user, what it takes and what it answers."""
