"""Shared indexes: whole files that are listed with their hashes, moved, checked, and then adopted.

:mod:`~indexer.sharing.listing` says what an index is made of and :mod:`~indexer.sharing.terms`
whose it is; :mod:`~indexer.sharing.opening` finds a source by its address (a folder, an HTTP
folder, a repository of the hub, a bundle); :mod:`~indexer.sharing.fetch` moves what is not here
yet, and :mod:`~indexer.sharing.pull` adopts it. :mod:`~indexer.sharing.push` and
:mod:`~indexer.sharing.bundle` write.
"""
