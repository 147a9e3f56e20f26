"""GAIR in the shapes that benchmarks and tools of others ask encoders in.

:mod:`~gair.adapters.torchgeo_bench` is its location encoder for torchgeo-bench's CoordBench track,
:mod:`~gair.adapters.rs_embed` its remote-sensing encoder for rs-embed. Neither package is installed
with this one: both need Python 3.12.
"""
