"""Documents that somebody with a shell on the host runs.

``host`` is whom one asks and what runs may read, ``options`` inputs on a command line, ``staging`` what is put where
runs may read it, ``run`` the run.
"""
