"""Picture of a region: what its imagery looks like, for people, as a Cloud-Optimized GeoTIFF."""
