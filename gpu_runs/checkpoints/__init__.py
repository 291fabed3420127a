"""Networks: read from files as data, or made by code of the user's, and what they are."""
