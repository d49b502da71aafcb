"""Drives Debian's Chromium. Tests that need it are skipped where it is not installed."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
WAIT_MS = 60_000

needs_browser = pytest.mark.skipif(
    not CHROMIUM and not os.environ.get("CI"),  # in CI it is installed, or the tests fail
    reason="no Chromium is installed (Debian: apt-get install chromium)",
)


@contextmanager
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield chromium
        finally:
            chromium.close()


def settled(page) -> None:
    """Wait until the page is drawn and its script has finished."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=WAIT_MS)
    page.wait_for_function(
        "!document.querySelector('[data-testid=stSkeleton]') && [...document.images].every(image => image.complete)",
        timeout=WAIT_MS,
    )


def by_key(page, key: str):
    """The elements whose Streamlit key starts like this."""
    return page.locator(f'[class*="st-key-{re.sub(r"[^a-zA-Z0-9_-]", "-", key)}"]')


def press(page, key: str, place: int = 0) -> None:
    """Click a button by its key. Streamlit draws buttons with a tip twice, once for small screens."""
    by_key(page, key).nth(place).locator("button:visible").first.click()


def search_for(page, text: str) -> None:
    box = by_key(page, "search-text").locator("input")
    box.fill(text)
    box.press("Enter")
    page.wait_for_function("text => new URLSearchParams(location.search).get('q') === text", arg=text, timeout=WAIT_MS)
    settled(page)


def playing(page) -> dict:
    """Wait until a video plays. Returns: its state."""
    page.wait_for_function(
        "(() => { const video = document.querySelector('video'); return video && video.currentTime > 0.05 })()",
        timeout=WAIT_MS,
    )
    return video_state(page)


def video_state(page) -> dict:
    return page.evaluate(
        "(() => { const v = document.querySelector('video'); return {at: v.currentTime, length: v.duration, "
        "ended: v.ended, paused: v.paused, loop: v.loop} })()"
    )
