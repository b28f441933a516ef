"""Run a suite of CWL tests through the CWL API of a host: each test is a document that comes with its files.

============  ==================================================================
`suite`       the tests of a suite, and which of them are chosen
`request`     what the CWL API is sent for a test: document, files, job
`wes`         the Workflow Execution Service (WES) of a CWL API
`tester`      running tests, some at a time, and removing what they made
`junit`       the results for programs
============  ==================================================================
"""
