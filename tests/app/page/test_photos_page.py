"""Ways for photos to reach the page, in a real browser, and what the page says of their files."""

from __future__ import annotations

import base64
from pathlib import Path

from app_browser import BROWSER_MARKS, Visit
from app_pages import RunningPage, sha256

pytestmark = BROWSER_MARKS

MAKE_FILE = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  return carried;
}"""


def carried(visit: Visit, photo: Path, kind: str) -> object:
    data = base64.b64encode(photo.read_bytes()).decode()
    return visit.tab.evaluate_handle(MAKE_FILE, [photo.name, kind, data])


def test_photos_of_one_place_give_one_answer(
    visit: Visit, page: RunningPage, photos: dict[str, Path]
) -> None:
    visit.upload(photos["street"])
    visit.add(photos["other"])
    visit.seen(".gair-photo-name >> text=street.jpg and 1 more")
    assert page.seen()[-2:] == [sha256(photos[name]) for name in ("street", "other")]
    assert "Facts of 2 photos" in visit.text("#gair-photo-facts")
    visit.keep("desktop-two-photos")
    visit.tab.click(".gair-strip [aria-label='Remove street.jpg']")
    visit.seen(".gair-photo-name >> text=/^other.png$/")
    visit.upload(photos["berlin"])
    assert visit.count(".gair-strip li") == 1  # a new photo takes the place of the others


def test_coordinates_in_the_photo_are_disclosed_with_their_distance(
    visit: Visit, photos: dict[str, Path]
) -> None:
    visit.upload(photos["berlin"])
    told = visit.text("#gair-photo-facts .gair-notice-info")
    assert "This photo carries coordinates (52.50000, 13.40000); they were not used." in told
    assert "They are 9" in told
    assert "km from the best guess" in told
    visit.tab.click("#gair-photo-facts summary")
    facts = visit.text("#gair-photo-facts")
    assert "berlin.jpg" in facts
    assert "Camera date" in facts
    visit.keep("desktop-gps")
    visit.upload(photos["street"])
    assert "carries coordinates" not in visit.text("#gair-photo-facts")


def test_a_photo_is_dropped_pasted_or_taken(
    visit: Visit, page: RunningPage, photos: dict[str, Path]
) -> None:
    dropped = carried(visit, photos["street"], "image/jpeg")
    visit.tab.dispatch_event(".gair-app", "dragover", {"dataTransfer": dropped})
    assert "gair-over" in (visit.tab.get_attribute("#gair-drop", "class") or "")
    visit.tab.dispatch_event(".gair-app", "drop", {"dataTransfer": dropped})
    visit.seen(".gair-photo-name >> text=street.jpg")
    assert page.seen()[-1] == sha256(photos["street"])
    pasted = carried(visit, photos["other"], "image/png")
    visit.tab.evaluate(
        "data => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }))",
        pasted,
    )
    visit.seen(".gair-photo-name >> text=other.png")
    assert page.seen()[-1] == sha256(photos["other"])
    visit.tab.click("[data-gair-camera]")
    visit.tab.wait_for_function("document.querySelector('.gair-camera video')?.videoWidth > 0")
    visit.keep("desktop-camera")
    visit.tab.click(".gair-camera [data-take]")
    visit.seen(".gair-photo-name >> text=camera.jpg")
    assert visit.count(".gair-camera") == 0


def test_keys_reach_everything(visit: Visit) -> None:
    visit.tab.focus("[data-gair-show='locate']")
    visit.tab.keyboard.press("ArrowRight")
    visit.seen("#gair-panel-claim:not([hidden])")
    assert visit.tab.evaluate("document.activeElement.dataset.gairShow") == "claim"
    visit.tab.keyboard.press("ArrowLeft")
    reached = set()
    visit.tab.evaluate("document.activeElement.blur()")
    for _ in range(60):
        visit.tab.keyboard.press("Tab")
        reached.add(
            visit.tab.evaluate(
                "(e => e.id || Object.keys(e.dataset)[0] || e.className || e.tagName)"
                "(document.activeElement)"
            )
        )
    for name in ("gair-index", "gairTheme", "gair-file", "gairCamera", "gairPaste", "gairLayer"):
        assert name in reached, reached


def test_a_photo_that_the_server_let_go_is_sent_again_by_itself(
    visit: Visit, page: RunningPage, photos: dict[str, Path]
) -> None:
    visit.upload(photos["street"])
    visit.seen(".gair-heat[data-drawn]")
    visit.tab.evaluate(
        "gairDesk.ask('x', { do: 'forget', photos: gairDesk.state.photos.map(p => p.path) })"
    )
    before = page.seen()
    visit.settings()
    visit.set("k", "3")
    visit.seen(".gair-answer h2 >> text=3 places")
    assert page.seen()[len(before) :] == [sha256(photos["street"])]
    visit.tab.click("[data-gair-example='2']")
    visit.seen(".gair-photo-name >> text=example-01.jpg")
    visit.seen(".gair-heat[data-drawn]")
    visit.tab.evaluate(
        "gairDesk.ask('x', { do: 'forget', photos: gairDesk.state.photos.map(p => p.path) })"
    )
    visit.set("k", "4")
    visit.seen(".gair-answer h2 >> text=4 places")
