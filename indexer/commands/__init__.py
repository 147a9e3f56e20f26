"""Commands of ``python -m indexer``: flags, and what is printed.

A module has one dataclass a command, whose fields are its flags, a function ``add`` that adds the
commands and is cheap to import, and a function ``run`` for each, which imports what it needs: so
``--help`` answers at once.
"""
