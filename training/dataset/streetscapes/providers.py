"""Providers of photos: their facts about a photo, and where its file is right now.

Addresses of files expire, so they are asked for when a photo is fetched and never kept.

*Mapillary*, API v4 (https://www.mapillary.com/developer/api-documentation): ``/{image id}?fields=``
with the token in a header. Errors come in the body, under any status: a wrong token, a used-up
limit, a photo that is not there; their codes are those of
https://developers.facebook.com/docs/graph-api/guides/error-handling.

*KartaView* (https://kartaview.org/doc/): ``/2.0/photo/?id=``, no token. The body has a status of
its own, which is what counts.

Photos of both are CC BY-SA 4.0 and ask for a credit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gair.errors import DownloadError
from gair.photos.exif import parse_date, parse_heading_deg
from training.dataset.streetscapes.options import KARTAVIEW, MAPILLARY, Endpoints
from training.dataset.streetscapes.web import Reply, Web

TOKEN_VARIABLE = "MAPILLARY_ACCESS_TOKEN"
"""Environment variable with the token for Mapillary; nothing writes it anywhere."""
LICENCE = "CC BY-SA 4.0"

_TOKEN_HELP = (
    f"put a valid token into the environment variable {TOKEN_VARIABLE} "
    "(https://www.mapillary.com/dashboard/developers gives one), and run the same command again"
)
_FIELDS = "id,geometry,captured_at,compass_angle,is_pano,creator,sequence"
_LIMIT_CODES = frozenset({4, 17, 32, 613})
_PASSING_CODES = frozenset({1, 2})
_MISSING_CODE = 100


@dataclass(frozen=True)
class PhotoFacts:
    """What a provider says about a photo."""

    file_url: str
    """Where its file is for a while."""
    lonlat_deg: tuple[float, float] | None
    heading_deg: float | None
    captured_at: str | None
    panorama: bool | None
    source: str
    """The provider."""
    attribution: str
    """The credit that the licence asks for."""
    licence: str = LICENCE
    sequence: str = ""
    """Of the walk or drive that it is a part of; empty where the provider names none."""


class Provider(Protocol):
    """Knows the photos of one source."""

    def look_up(self, image_id: str) -> PhotoFacts | None:
        """What is known about a photo; None if it is not there (any more).

        Raises:
            DownloadError: the provider does not answer, or refuses.
        """
        ...


class Mapillary:
    """The entity endpoint of API v4; threads may share it."""

    def __init__(self, web: Web, base_url: str, token: str, width_px: int) -> None:
        """Remember whom to ask, and for files of which width (1024, 2048)."""
        self._web = web
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._file = "thumb_1024_url" if width_px <= 1024 else "thumb_2048_url"

    def look_up(self, image_id: str) -> PhotoFacts | None:
        """See :class:`Provider`."""
        fields = {"fields": f"{_FIELDS},{self._file}"}
        url = f"{self._base_url}/{image_id}"
        headers = {"Authorization": f"OAuth {self._token}"}
        reply = self._web.get(url, fields, headers, pass_by=_passes_by)
        body = _json(reply)
        if refuse_mapillary(reply, self._token):
            return None
        if reply.status != 200:
            raise DownloadError(f"{url} answers with status {reply.status}: run again later")
        file_url = body.get(self._file)
        if not file_url:
            return None
        creator = body.get("creator")
        name = creator.get("username") if isinstance(creator, Mapping) else None
        by = f" by {name}" if name else ""
        panorama = body.get("is_pano")
        return PhotoFacts(
            file_url=str(file_url),
            lonlat_deg=_point(body.get("geometry")),
            heading_deg=parse_heading_deg(body.get("compass_angle")),
            captured_at=parse_date(body.get("captured_at")),
            panorama=panorama if isinstance(panorama, bool) else None,
            source="Mapillary",
            attribution=f"Mapillary image{by}, {LICENCE}, "
            f"https://www.mapillary.com/app/?pKey={image_id}",
            sequence=str(body.get("sequence") or ""),
        )


class KartaView:
    """The photo endpoint of API 2.0; threads may share it."""

    def __init__(self, web: Web, base_url: str) -> None:
        """Remember whom to ask."""
        self._web = web
        self._base_url = base_url.rstrip("/")

    def look_up(self, image_id: str) -> PhotoFacts | None:
        """See :class:`Provider`."""
        url = f"{self._base_url}/2.0/photo/"
        reply = self._web.get(url, {"id": image_id}, pass_by=kartaview_passes_by)
        body = _json(reply)
        if refuse_kartaview(reply):
            return None
        result = body.get("result")
        data = result.get("data") if isinstance(result, Mapping) else None
        photo = data[0] if isinstance(data, list) and data else data
        if not isinstance(photo, Mapping):
            return None
        file_url = photo.get("fileurlProc") or photo.get("fileurl")
        if not file_url:
            return None
        sequence, index = photo.get("sequenceId"), photo.get("sequenceIndex")
        page = f", https://kartaview.org/details/{sequence}/{index}" if sequence and index else ""
        return PhotoFacts(
            file_url=str(file_url),
            lonlat_deg=_numbers(photo.get("lng"), photo.get("lat")),
            heading_deg=parse_heading_deg(photo.get("heading")),
            captured_at=parse_date(photo.get("shotDate")),
            panorama=str(photo.get("projection", "")).upper() in ("SPHERE", "EQUIRECTANGULAR"),
            source="KartaView",
            attribution=f"KartaView photo {image_id}, © KartaView contributors, {LICENCE}{page}",
            sequence=str(sequence or ""),
        )


def providers(web: Web, endpoints: Endpoints, token: str, width_px: int) -> dict[str, Provider]:
    """Whom to ask for the photos of each source."""
    return {
        MAPILLARY: Mapillary(web, endpoints.mapillary_graph, token, width_px),
        KARTAVIEW: KartaView(web, endpoints.kartaview),
    }


def refuse_mapillary(reply: Reply, token: str) -> bool:
    """Whether Mapillary says that something is not there.

    Args:
        reply: what it answered.
        token: what it was asked with; answers may repeat it, and errors must not.

    Raises:
        DownloadError: it does not accept the token, or refuses otherwise.
    """
    error = _error(reply)
    if error is None:
        if reply.status in (401, 403):
            raise DownloadError(
                f"Mapillary refuses with status {reply.status}: {_TOKEN_HELP}", for_all=True
            )
        return reply.status in (404, 410)
    code, text = error.get("code"), " ".join(str(error.get("message", "")).split())
    # The token goes before the text is cut: half of it would be told otherwise.
    message = (text.replace(token, "...") if token else text)[:120]
    if code == _MISSING_CODE or (reply.status in (404, 410) and code != 190):
        return True
    if str(error.get("type")) == "OAuthException" or reply.status in (401, 403):
        raise DownloadError(
            f"Mapillary does not accept the token ({message}): {_TOKEN_HELP}", for_all=True
        )
    raise DownloadError(f"Mapillary refuses ({message}, code {code}): run again later")


def kartaview_passes_by(reply: Reply) -> bool:
    """Whether KartaView's body says that it failed, or has had enough for now, or nothing."""
    code = _kartaview_status(reply)
    return code == 429 or code >= 500 or (reply.status == 200 and not _json(reply))


def refuse_kartaview(reply: Reply) -> bool:
    """Whether KartaView says that something is not there.

    Raises:
        DownloadError: it refuses.
    """
    status = _json(reply).get("status")
    fields = status if isinstance(status, Mapping) else {}
    code = _kartaview_status(reply)
    if code < 400 or code in (404, 410):
        return code >= 400
    message = " ".join(str(fields.get("apiMessage") or fields.get("httpMessage") or "").split())
    raise DownloadError(
        f"KartaView refuses with status {code} ({message[:120]}): its photos cannot be had "
        "now; run again later, or leave them out with `sources` mapillary",
        for_all=code in (401, 403),
    )


def _kartaview_status(reply: Reply) -> int:
    status = _json(reply).get("status")
    code = str(status.get("httpCode")) if isinstance(status, Mapping) else ""
    return int(code) if code.isdigit() else reply.status


def _passes_by(reply: Reply) -> bool:
    """Whether the error in a body is one that goes away."""
    error = _error(reply)
    if error is None:
        return reply.status == 200 and not _json(reply)
    return bool(error.get("is_transient")) or error.get("code") in (_LIMIT_CODES | _PASSING_CODES)


def _error(reply: Reply) -> Mapping[str, Any] | None:
    error = _json(reply).get("error")
    return error if isinstance(error, Mapping) else None


def _json(reply: Reply) -> Mapping[str, Any]:
    """A body's JSON object; an empty one for anything else."""
    try:
        body = json.loads(reply.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _point(geometry: object) -> tuple[float, float] | None:
    coordinates = geometry.get("coordinates") if isinstance(geometry, Mapping) else None
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return None
    return _numbers(coordinates[0], coordinates[1])


def _numbers(lon: object, lat: object) -> tuple[float, float] | None:
    try:
        return float(str(lon)), float(str(lat))
    except ValueError:
        return None
