"""Stop a run: end what it runs on whichever worker, then remove its data and its rows.

``site.stop_run`` is what the CWL API and the command call. ``coordinator`` decides, ``database`` keeps the rows,
``workers`` asks the workers over the broker. ``celery_command`` answers in each Celery worker's main process, which
takes no slot, and ``host_agent`` does the work, in a process of its own. ``model`` is what they tell each other.
"""
