"""Batches of photos and frames from a data set, by worker processes, resumable at any of them.

From the top down: :mod:`.loader` plans which photos make which batch and hands batches out,
:mod:`.workers` runs the processes that :mod:`.assemble` batches, :mod:`.augment` changes the light.
"""
