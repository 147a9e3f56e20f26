"""Evaluation of an index on photos whose place is known, and a report of it.

:func:`indexer.evaluate.evaluate.evaluate` is the recipe. It follows these files:

1. ``task``: options, photos and the cells they were taken in;
2. ``methods``: what is compared, the index's own answer first;
3. ``judge``: what became of each photo under a method, block by block on several threads, with the
   measures of ``metrics``; ``baselines`` needs no photo's vector;
4. ``summary`` and ``probabilities``: numbers from that, with the intervals of ``bootstrap``;
5. ``offset``: what displaced points and cells cost;
6. ``report``: the page and the JSON file.

``answers`` takes the short way, for the numbers of the index's own answer alone.
"""
