"""JavaScript of documents, evaluated in processes of Node.js that a service of their own starts."""
