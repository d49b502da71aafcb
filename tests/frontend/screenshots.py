"""Takes the pictures of docs/page.md and docs/words.md.

`python -m tests.frontend.screenshots docs/images` (`make screenshots`).
"""

import io
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from clipseek.client import Client
from clipseek.machine.ports import free_port
from tests.frontend.browser import browser, by_key, playing, press, search_for, settled

WIDTH, HEIGHT = 1120, 720
COLOURS = 256  # in a picture's palette, which keeps each file below 200 kB


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        host, page = (free_port("127.0.0.1") for _ in range(2))
        environ = {"CLIPSEEK_HOME": home, "CLIPSEEK_PORT": str(host), "CLIPSEEK_PAGE_PORT": str(page)}
        command = [sys.executable, "-m", "clipseek", "serve", "--page", "--model", "starter"]
        process = subprocess.Popen(command, env={**os.environ, **environ}, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            while "Ctrl-C stops it." not in process.stderr.readline():
                assert process.poll() is None, "the service did not start"
            with browser() as chromium:
                _take_all(chromium, f"http://127.0.0.1:{page}", Client(f"grpc://127.0.0.1:{host}"), folder)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _take_all(chromium, address: str, client: Client, folder: Path) -> None:
    page = _visit(chromium, address)
    _save(page, folder / "empty.png")
    client.add_samples()
    page = _visit(chromium, address)
    by_key(page, "examples").locator("button").first.wait_for()
    _save(page, folder / "start.png")
    search_for(page, "a submarine under the ice")
    _save(page, folder / "nothing.png")
    search_for(page, "a red flower")
    by_key(page, "card-play").nth(2).wait_for()
    press(page, "card-play")
    playing(page)
    page.wait_for_function("document.querySelector('video').currentTime > 2.5")  # the flower is open
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")
    _save(page, folder / "search.png")
    press(page, "card-adjust")
    by_key(page, "editor-step-1-0-5").wait_for()
    settled(page)
    page.wait_for_timeout(1000)  # the dialog fades in
    _save(page, folder / "adjust.png")
    page = _visit(chromium, address)
    for text in ("a red flower", "two men in the street", "a glowing crystal"):
        search_for(page, text)
        press(page, "card-basket")
        page.get_by_role("button", name="Remove from basket").first.wait_for()
        settled(page)
    page.get_by_role("link", name="Basket").click()
    by_key(page, "export").first.wait_for()
    settled(page)
    _save(page, folder / "basket.png")
    _save(_visit(chromium, f"{address}/library"), folder / "library.png")
    toys = client.video("toys.mp4").video_id[:12]
    page = _visit(chromium, f"{address}/timeline?video={toys}&q=a+shiny+crystal", scheme="dark")
    page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first.wait_for()
    page.wait_for_timeout(1000)  # the chart fades in
    _save(page, folder / "timeline.png")
    page = _visit(
        chromium, f"{address}/?q=%E4%B8%80%E6%9C%B5%E7%BA%A2%E8%8A%B1&lang=zh", width=390, height=760, scheme="dark"
    )
    _save(page, folder / "phone.png")
    _take_words(chromium, address, client, folder)


def _take_words(chromium, address: str, client: Client, folder: Path) -> None:
    """A match that is heard, one that is written, and a transcript beside the player."""
    telescope = client.read_words("space-telescope.mp4").video_id[:12]
    client.read_words("slides.mp4")
    _save(_visit(chromium, f"{address}/?q=Webb+Space+Telescope"), folder / "heard.png")
    _save(_visit(chromium, f"{address}/?q=craters+of+the+Moon"), folder / "written.png")
    page = _visit(chromium, f"{address}/timeline?video={telescope}", height=1000)
    page.locator(".cs-line-play").first.click()
    playing(page)
    page.locator(".cs-line-now").first.wait_for()
    page.locator("video").evaluate("video => video.pause()")
    page.locator(".cs-transcript").scroll_into_view_if_needed()
    settled(page)
    _save(page, folder / "transcript.png")


def _visit(chromium, address: str, *, width: int = WIDTH, height: int = HEIGHT, scheme: str = "light"):
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-US")
    page = context.new_page()
    page.goto(address)
    settled(page)
    return page


def _save(page, path: Path) -> None:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    palette = picture.quantize(COLOURS)  # Pillow dithers only with a palette that it is given
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path} {path.stat().st_size // 1000} kB", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
