"""A headless browser without a network: the picture of a page, and the addresses that the page asked for."""

import json
import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

BROWSER = next((name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
OFFLINE = ("--proxy-server=127.0.0.1:1", "--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking")


def show(page: Path, folder: Path, height: int = 2600) -> tuple[np.ndarray, list[str], str]:
    """Open a local page; return its pixels [H, W, 3] as integers, the addresses it asked for, and what was logged.

    What the browser asks for by itself, such as its updates, is not the page's and left out.
    """
    picture, log = folder / "page.png", folder / "net.json"
    base = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}", *OFFLINE]
    shot = [f"--log-net-log={log}", "--hide-scrollbars", f"--window-size=1100,{height}", f"--screenshot={picture}"]
    done = subprocess.run([*base, *shot, page.as_uri()], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    text = log.read_text(encoding="utf-8").rstrip()
    events = json.loads(text if text.endswith("}") else text.rstrip(",") + "]}")["events"]
    asked = [event["params"] for event in events if "url" in event.get("params", {})]
    urls = [params["url"] for params in asked if "site=file://" in params.get("site_for_cookies", "")]
    pixels = (matplotlib.image.imread(picture)[..., :3] * 255).round().astype(int)
    return pixels, [url for url in urls if not url.startswith(("file:", "data:"))], done.stderr


def pixels_of(pixels: np.ndarray, colour: str) -> int:
    """Return how many pixels have a colour, #rrggbb, give or take what smoothing of edges changes."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(pixels - wanted).max(axis=-1) <= 2).sum())
