"""JSON Web Tokens in place of a login: for one run, or for one request."""
