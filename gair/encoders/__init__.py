"""Encoders: street view g, remote sensing f, the implicit representation NILI, location e."""
