"""A process of its own that decodes photos: killed when it takes too long, limited in memory, holding no key and no connection.

Reads one JSON object a line (``source``, ``folder``), answers one a line: hash, size and dimensions of what it wrote, or why not.
Run as ``python -m gis.cases.reencode``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

_LONGEST_PX = 2048
_THUMB_PX = 320
_MOST_PIXELS = 40_000_000
_MEMORY = 1_500_000_000  # 40 million pixels are 160 MB as RGBA; turning and shrinking hold three of them


def reencode(source: Path, folder: Path) -> dict[str, Any]:
    """Write ``<sha256>.jpg`` and ``-thumb.jpg`` of a photo: upright, at most 2048 px, without any of its own notes."""
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    with Image.open(source, formats=("JPEG", "PNG", "WEBP")) as opened:
        if opened.size[0] * opened.size[1] > _MOST_PIXELS:
            raise ValueError("too many pixels")
        opened.draft("RGB", (_LONGEST_PX, _LONGEST_PX))  # JPEG decodes at a half, a quarter, an eighth by itself
        opened.seek(0)
        opened.load()
        upright = ImageOps.exif_transpose(opened)
        flat = _flat(upright)
    flat.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.LANCZOS, reducing_gap=2.0)
    main = _jpeg(flat, quality=82)
    width, height = flat.size
    flat.thumbnail((_THUMB_PX, _THUMB_PX), Image.Resampling.LANCZOS, reducing_gap=2.0)
    name = hashlib.sha256(main).hexdigest()
    where = folder / name[:2]
    where.mkdir(parents=True, exist_ok=True)
    _write(where / f"{name}-thumb.jpg", _jpeg(flat, quality=75))
    _write(where / f"{name}.jpg", main)
    descriptor = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)
    return {"sha256": name, "bytes": len(main), "width": width, "height": height}


def _flat(image: Image.Image) -> Image.Image:
    """RGB on white: a JPEG knows no transparency."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image.convert("RGB")


def _jpeg(image: Image.Image, *, quality: int) -> bytes:
    """A fresh image without info: no EXIF, no XMP, no profile, no comment."""
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    out = io.BytesIO()
    bare.save(out, "JPEG", quality=quality, progressive=True)
    return out.getvalue()


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as f:
        f.write(content)
        f.flush()
        os.fsync(f.fileno())
    part.replace(path)


def main() -> None:
    """Serve until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)  # people waiting for an answer come first
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = reencode(Path(asked["source"]), Path(asked["folder"]))
        except FileNotFoundError:
            answer = {"missing": True}
        except OSError as e:
            answer = {"full": True} if e.errno in (28, 122, 27) else {"unreadable": str(e)[:200]}
        except Exception as e:  # whatever a broken file does to the decoder: it is the file's fault
            answer = {"unreadable": f"{type(e).__name__}: {e}"[:200]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
