"""Addresses of map sites that people copy, beside those of the usual forms."""

from __future__ import annotations

import pytest

from gair.coordinates.text import parse_coordinates


@pytest.mark.parametrize(
    "address",
    [
        "https://www.google.com/maps/search/51.50735,+-0.12776?sa=X",
        "https://www.google.com/maps/place/51.50735,-0.12776/@1.5,2.5,17z",
        "https://www.google.com/maps/dir/1.5,2.5/51.50735,-0.12776",
        "https://www.google.com/maps/embed?pb=!1m18!1m12!1m3!1d2483!2d-0.12776!3d51.50735",
        "https://www.google.com/maps/@?api=1&map_action=pano&viewpoint=51.50735%2C-0.12776",
        "https://www.google.com/maps/@51.50735,-0.12776,3a,75y,90h,90t/data=!3m6!1e1",
        "geo:0,0?q=51.50735,-0.12776(Trafalgar+Square)",
        "GEO:51.50735,-0.12776",
        "https://maps.apple.com/place?coordinate=51.50735,-0.12776&name=X",
        "https://yandex.com/maps/?ll=-0.12776%2C51.50735&z=16",
        "https://mapy.com/en/zakladni?x=-0.12776&y=51.50735&z=17",
        "https://www.mapillary.com/app/?lat=51.50735&lng=-0.12776&z=17",
        "https://wikimapia.org/#lang=en&lat=51.50735&lon=-0.12776&z=12",
        "https://share.here.com/l/51.50735,-0.12776,X?z=16",
        "https://www.bing.com/maps?sp=point.51.50735_-0.12776_X",
        "https://waze.com/ul?ll=51.50735%2C-0.12776&navigate=yes",
        "http://127.0.0.1:7860/#index=demo&claim=51.50735%2C+-0.12776&view=1.5,2.5,14",
        "http://127.0.0.1:7860/#index=demo&view=51.50735,-0.12776,14",
    ],
)
def test_the_place_in_an_address(address: str) -> None:
    assert parse_coordinates(address) == pytest.approx((-0.12776, 51.50735), abs=2e-8)
