"""CWL documents: read, checked, kept, and what they need: tasks, resources, container images."""
