"""The CWL API: upstream's routes behind authentication, as a WSGI application."""
