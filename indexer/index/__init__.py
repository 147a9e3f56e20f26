"""Index: the files of a build, and read access to them.

:mod:`indexer.index.storage` has the layout of a folder, :mod:`indexer.index.index` opens one.
"""
