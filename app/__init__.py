"""The page: upload a street photo, see where it may have been taken."""
