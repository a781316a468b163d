"""JSON and XML of one content (Spark convention, as Open311 wants it): plain dicts and lists in, bytes and their type out."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import orjson

# What XML 1.0 cannot hold, escaped or not.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# One entry of each list.
_ENTRY = {
    "services": "service", "attributes": "attribute", "values": "value", "service_requests": "request", "errors": "error",
    "endpoints": "endpoint", "formats": "format",
}  # fmt: skip
TYPES = {"json": "application/json; charset=utf-8", "xml": "text/xml; charset=utf-8"}


def written(root: str, content: Any, form: str) -> bytes:
    """Write `content`; `root` names it in XML and is not there in JSON.

    Parameters
    ----------
    form : {'json', 'xml'}
    """
    if form == "json":
        return orjson.dumps(content)
    text = ElementTree.tostring(_element(root, content), encoding="unicode", short_empty_elements=True)
    return ('<?xml version="1.0" encoding="utf-8"?>\n' + text).encode("utf-8")


def _element(name: str, content: Any) -> ElementTree.Element:
    made = ElementTree.Element(name)
    if isinstance(content, dict):
        made.extend(_element(key, value) for key, value in content.items())
    elif isinstance(content, (list, tuple)):
        made.extend(_element(_ENTRY[name], entry) for entry in content)
    elif isinstance(content, bool):
        made.text = "true" if content else "false"
    elif content is not None:
        made.text = _ILLEGAL.sub("\ufffd", str(content))
    return made
