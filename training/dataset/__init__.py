"""Training data: photos and the Sentinel-2 frames around them, on disk and as batches.

* :mod:`training.dataset.shards.records`: one photo, one frame.
* :mod:`training.dataset.shards`: the folder format, its writer and its reader.
* :mod:`training.dataset.batches.plan`: which photos make which batch.
* :mod:`training.dataset.batches.loader`: batches, by worker processes, resumable at any of them.

``python -m training.dataset`` packs photos and imagery into a data set and describes one.
"""
