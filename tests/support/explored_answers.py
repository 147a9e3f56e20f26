"""What was explored, with the same text in every field that has one."""

from __future__ import annotations

from indexer.explore.compare import PhotoPair
from indexer.explore.near_photos import NearPhoto, NearPhotos
from indexer.explore.similar import Example, SimilarPlace, SimilarPlaces

CELL = "89194ad3623ffff"


def pair_of(text: str, chance: float | None = None) -> PhotoPair:
    """Two photos; with a chance, or why there is none."""
    measured = chance is not None
    return PhotoPair(
        index=text,
        build=text,
        model=text,
        model_licence=text,
        runtime="torch",
        photos=(text, text),
        photo_sha256=("", ""),
        cosine=0.5,
        radius_m=200.0,
        probability=chance,
        prior_probability=0.5,
        chance_level=0.002,
        likelihood_ratio=1 / 3 if measured else None,
        limit=90.0 if measured else None,
        support=text if measured else None,
        pairs=400,
        places=90,
        other_pairs=2000,
        auroc=0.9,
        given=text,
        why="" if measured else text,
        warnings=(text,),
    )


def similar_of(text: str) -> SimilarPlaces:
    """Two similar places."""
    example = Example(-0.1, 51.5, CELL, 3)
    places = tuple(
        SimilarPlace(rank, -0.1, 51.5 + rank / 100, CELL, rank, 0.5, 0.01, 900.0, 2, 80.0)
        for rank in (1, 2)
    )
    about = {"index": text, "build": text, "model": text, "model_licence": text}
    return SimilarPlaces(
        **about, attribution=text, like=(example,), unlike=(example,), places=places,
        cells_compared=170, cells_left_out=1, apart_m=400.0, merge_radius_m=200.0,
        median_similarity=0.1, warnings=(text,),
    )  # fmt: skip


def near_of(text: str) -> NearPhotos:
    """Two photos of a place, of which one has a link."""
    photos = tuple(
        NearPhoto(
            rank, -0.1, 51.5, 20.0, 0.25, 0.5, 90.0, "2024-05-06", text, link, text, text, False
        )
        for rank, link in ((1, f"https://e.org/{text}"), (2, f"javascript:{text}"))
    )
    about = {"index": text, "build": text, "model": text, "model_licence": text}
    return NearPhotos(
        **about, lon_deg=-0.1, lat_deg=51.5, h3_cell=CELL, order="distance", photos=photos,
        photos_compared=300, median_cosine=0.1, warnings=(text,),
    )  # fmt: skip
