"""The web pages: static files that the server hands out as they are, without a build step."""

from pathlib import Path

# Served below /static/. `index.html` is the visitor's page, at / and /t/{tenant}.
STATIC = Path(__file__).with_name("static")

# Own files and own API only: nothing inline, nothing from elsewhere, not inside another site's frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
