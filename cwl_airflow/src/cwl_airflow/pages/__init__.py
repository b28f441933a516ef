"""What Airflow's pages show of documents and runs: an application below its api-server, and the script of the pages."""
