"""Terms of an index: licences and credits of its model, imagery, region and reference photos."""

from __future__ import annotations

from indexer.sharing.listing import SharedIndex

_HUB_LICENCES = {"CC BY-NC 4.0": "cc-by-nc-4.0", "Apache-2.0": "apache-2.0"}


def needs_noncommercial_model(listing: SharedIndex) -> bool:
    """Whether the weights that every search of the index needs must not be used commercially."""
    return "-NC" in listing.model.licence.upper().replace(" ", "-")


def terms_lines(listing: SharedIndex) -> list[str]:
    """Whose the parts of an index are, a line each, for people."""
    model, photos = listing.model, listing.reference_photos
    lines = [
        f"model: {model.name}, licence {model.licence}, from {model.source}",
        f"imagery: {listing.imagery_attribution}",
    ]
    if credit := str(listing.region.get("attribution") or ""):
        lines.append(f"region: {credit}")
    if photos is not None:
        of = ", ".join(f"{count:,} under {name}" for name, count in photos.licences.items())
        lines.append(f"reference photos: {photos.photos:,} vectors, no pixels; {of}")
    if needs_noncommercial_model(listing):
        lines.append(
            f"note: searching it needs weights under {model.licence}: not for commercial use, and "
            "its vectors were made by them"
        )
    if not model.trained:
        lines.append("note: the model is untrained, so every answer is meaningless")
    return lines


def card_of(listings: dict[str, SharedIndex] | SharedIndex) -> bytes:
    """``README.md`` that lies beside shared indexes, with the hub's metadata block.

    Args:
        listings: one index, or all that a source holds, by name.
    """
    if isinstance(listings, SharedIndex):
        listings = {listings.name: listings}
    licences = {_HUB_LICENCES.get(one.model.licence, "other") for one in listings.values()}
    noncommercial = [one for one in listings.values() if needs_noncommercial_model(one)]
    licence = licences.pop() if len(licences) == 1 else "other"
    lines = [
        "---",
        f"license: {'cc-by-nc-4.0' if noncommercial else licence}",
        "tags: [geolocation, remote-sensing, sentinel-2, gair-geolocator]",
        "---",
        "# Indexes of GAIR Geolocator",
        "",
        "Vectors of satellite imagery and of places, to find where street photos were taken.",
    ]
    for name, listing in sorted(listings.items()):
        bbox = listing.region.get("bbox_wsen_deg")
        lines += [
            "",
            f"## {name}",
            "",
            f"{listing.cells:,} cells at H3 resolution {listing.h3_resolution}, west, south, east, "
            f"north {bbox}, build {listing.build}, {listing.size_bytes:,} bytes; "
            f"{'calibrated' if listing.calibrated else 'not calibrated'}.",
            "",
            *(f"- {line}" for line in terms_lines(listing)),
        ]
    return ("\n".join(lines) + "\n").encode()
