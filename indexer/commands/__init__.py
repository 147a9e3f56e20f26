"""The commands of ``python -m indexer``, one file each.

A file has ``add``, which adds the command's flags and is cheap to import, and ``run``, which does
the work and imports what it needs: so ``--help`` answers at once.
"""
