"""The commands of a host, a module for each."""
