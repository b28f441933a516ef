"""Reports of what happens to runs of CWL documents, posted to a receiver of the site's."""
