"""Remove what a host collects over months, by the rules of its site.

``site.tidy`` is what the command calls. ``trees`` removes and follows no link, ``files`` knows what is where on the
disk, ``rows`` what is in Airflow's database, ``images`` what the container engine has of documents that are gone.
``outcome`` is what ``cwl-airflow-check`` reads: it loads no Airflow.
"""
