"""Telling the operator what is amiss: mails of runs that failed, mails and reports of a site that is not well."""
