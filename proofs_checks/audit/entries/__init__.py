"""What the survey audits, a module for each library: ``ENTRIES``, targets with the orders that they claim."""
