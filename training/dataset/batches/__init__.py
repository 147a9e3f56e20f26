"""Batches of photos and frames from a data set, by worker processes, resumable at any of them.

From the top down: :mod:`.loader` hands them out, :mod:`.plan` says which photos make which batch,
:mod:`.workers` runs the processes that :mod:`.assemble` batches, :mod:`.augment` changes the light.
"""
