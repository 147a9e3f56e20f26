"""Check a claim, in a real browser: typed or clicked, with and without a photo."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_browser import BROWSER_MARKS, Visit

pytestmark = BROWSER_MARKS


def check(visit: Visit, text: str) -> None:
    visit.tab.fill("#gair-claim-text", text)
    visit.tab.click("#gair-claim .gair-go")


def test_a_claim_gets_a_verdict_with_numbers_and_a_plot(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.open("#index=known")
    visit.upload(photos["berlin"])
    visit.show("claim")
    check(visit, "51°30'12\" N, 0°6'0\" W")
    verdict = visit.seen(".gair-verdict").inner_text()
    assert "Claim: 51.50333, -0.10000, within 500 m" in verdict
    assert "within 500 m of this place" in verdict
    assert "of true claims do as badly" in verdict
    for name in ("Distinct places that do as well", "Percentile", "p, elsewhere does as well"):
        assert name in verdict
    assert "Photo's own tags, not used" in verdict
    assert "52.50000, 13.40000" in verdict
    assert visit.count(".gair-plot rect") > 3
    assert visit.count(".gair-plot .gair-claim-line") == 1
    assert visit.count("path.gair-claimed") == 1
    assert visit.hash() | {"view": ""} == {
        "index": "known", "tab": "claim", "radius": "500", "view": "",
        "claim": "51°30'12\" N, 0°6'0\" W",
    }  # fmt: skip
    visit.keep("desktop-claim")


def test_claims_on_one_photo_are_counted_and_a_place_again_is_no_further_one(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.open("#index=known")
    visit.upload(photos["street"])
    visit.show("claim")
    counted = "text=claim tested on this photo"
    for claim, said in (
        ("51.5, -0.1", None),
        ("51.502, -0.1", "2nd"),
        ("51.504, -0.1", "3rd"),
        ("51.502, -0.1", "2nd"),
    ):
        check(visit, claim)
        lat_deg, lon_deg = (f"{float(word):.5f}" for word in claim.split(", "))
        visit.seen(f".gair-kicker >> text=Claim: {lat_deg}, {lon_deg}")
        if said is None:
            assert visit.count(counted) == 0
        else:
            assert visit.seen(counted).inner_text().startswith(f"{said} claim")
    assert "No likelihood ratio" in visit.seen(".gair-evidence").inner_text()
    visit.tab.fill("#gair-claim-prior", "1000")
    check(visit, "51.502, -0.1")
    visit.seen("#gair-verdict .gair-error >> text=prior_percent is 1000")


def test_a_click_on_the_map_claims_that_place_and_a_wider_circle_asks_again(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.upload(photos["street"])
    visit.settled()
    visit.show("claim")
    visit.click_map(0.4, 0.5)
    first = visit.seen(".gair-verdict .gair-kicker").inner_text()
    assert "within 500 m" in first
    assert visit.tab.input_value("#gair-claim-text") in first
    visit.settled()
    visit.tab.select_option("#gair-claim-radius", "1000")
    visit.seen(".gair-kicker >> text=within 1.0 km")
    visit.tab.focus(".gair-map")
    visit.tab.keyboard.press("Enter")  # the middle of the map
    visit.tab.wait_for_function(
        "before => document.querySelector('.gair-verdict .gair-kicker')?.innerText.includes"
        "('within 1.0 km') && document.querySelector('#gair-claim-text').value !== before",
        arg=first.removeprefix("Claim: ").split(", within")[0],
    )


def test_a_place_of_the_answer_is_tested_with_one_click(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.upload(photos["street"])
    where = visit.text(".gair-best-where")
    visit.tab.click(".gair-best [data-gair-test]")
    lat, lon = (float(v) for v in where.split(", "))
    told = visit.seen(".gair-verdict .gair-kicker").inner_text()
    assert told.startswith(f"Claim: {lat:.5f}, {lon:.5f}, ")
    assert visit.tab.input_value("#gair-claim-text") == where
    visit.show("locate")
    assert visit.text(".gair-best-where") == where


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("somewhere", "'somewhere' is no place"),
        ("151.5, -0.1", "latitude comes first"),
        ("https://example.org/", "that address holds no coordinates"),
    ],
)
def test_what_is_no_place_is_said_at_once_without_a_photo(
    visit: Visit, text: str, told: str
) -> None:
    visit.show("claim")
    check(visit, text)
    assert told in visit.seen("#gair-verdict .gair-error").inner_text()
    assert visit.tab.get_attribute("#gair-claim-text", "aria-invalid") == "true"
    check(visit, "51.5 -0.1")
    visit.seen("#gair-verdict .gair-empty")
    assert visit.count("path.gair-claimed") == 1
    assert visit.tab.get_attribute("#gair-claim-text", "aria-invalid") is None


def test_a_claim_that_was_made_before_the_photo_is_tested_with_it(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.show("claim")
    check(visit, "51.5, -0.1")
    visit.tab.wait_for_selector("path.gair-claimed", state="attached")
    visit.upload(photos["street"], then=".gair-verdict")
    visit.upload(photos["other"], then=".gair-verdict >> text=other.png")
    check(visit, "10, 10")
    visit.seen("text=No cell of the index lies within 500 m of this place")
