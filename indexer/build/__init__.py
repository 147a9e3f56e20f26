"""Build: journey 1, from a region to an index.

In order, what each file adds:

1. :mod:`indexer.regions.cells`: the H3 cells whose centre lies in the region;
2. :mod:`indexer.build.plan`: options, and the plan: :mod:`indexer.build.frames`, where to look so
   that every cell lies well inside one frame, and :mod:`indexer.build.units`, pieces to resume at;
3. :mod:`indexer.build.unit_files`: the units that an earlier run of the same build left;
4. :mod:`indexer.build.engine`: computes the others here, or :mod:`indexer.build.ray_engine` on a
   cluster;
5. :mod:`indexer.build.embed`: reads their frames from an imagery source, ahead of the encoder, and
   makes vectors of each frame's cells, in the :mod:`indexer.build.recipe` of the build;
6. :mod:`indexer.build.write_index`: the files of the index from all units, and its manifest;
7. :mod:`indexer.index.storage`: the build becomes the one that ``CURRENT`` names.

:func:`indexer.build.build.build_index` holds the chain together;
:func:`indexer.build.plan.estimate` says what it will take.
"""
