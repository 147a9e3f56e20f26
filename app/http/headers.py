"""The headers of every response: what a browser may run, fetch and frame."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.options import ServerOptions


def security_headers(options: ServerOptions) -> list[tuple[bytes, bytes]]:
    """What a browser is told with every response.

    Scripts, styles and data come from this server only. Gradio's own page has inline scripts and
    compiles its templates, so ``'unsafe-inline'`` and ``'unsafe-eval'`` cannot be left out; that
    nothing from a photo's metadata becomes markup is the page's work, and what slipped through
    could still reach no other server, frame no page and post no form elsewhere. The map tiles that
    the operator chose are the one thing that may be fetched from another place, without a referrer.
    """
    tiles = ""
    if options.tiles is not None:
        found = urlsplit(options.tiles.url)
        tiles = f" {found.scheme}://{found.netloc.replace('{s}', '*')}"
    policy = {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": f"'self' data: blob:{tiles}",
        "media-src": "'self' blob: data:",
        "font-src": "'self' data:",
        "connect-src": "'self' blob: data:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    values = {
        "content-security-policy": "; ".join(f"{k} {v}" for k, v in policy.items()),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    }
    return [(k.encode(), v.encode()) for k, v in values.items()]
