"""The pictures of the web page in README and site: two lines said on a served bundle, in light, in dark, on a phone.

python lab/scripts/stills.py models/ml-1m docs/images
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated, Literal

import httpx
import typer
from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from latentcrs.serve.client import Client

SAID = ["a comedy from the nineties, no romance", "ideally with Bill Murray"]
SIZES = {"web-desktop": (1280, 860), "web-dark": (1280, 860), "web-phone": (375, 780)}
SHORT = {"TMPDIR": "/tmp"}  # a long path is more than a socket of Chromium takes
LIKES = ["Toy Story", "Fargo"]


def still(browser: Browser, address: str, name: str, said: list[str], folder: Path) -> None:
    """Say these lines on the page and write a picture of it."""
    width, height = SIZES[name]
    scheme: Literal["dark", "light"] = "dark" if name == "web-dark" else "light"
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(address)
    page.locator(".welcome, .said").first.wait_for()
    for number, words in enumerate(said, 1):
        page.locator(".composer textarea").fill(words)
        page.keyboard.press("Enter")
        expect(page.locator(".answer")).to_have_count(number, timeout=60_000)
        expect(page.locator(".thinking")).to_have_count(0, timeout=60_000)
    page.wait_for_timeout(1500)  # bars grow, the list scrolls
    page.screenshot(path=folder / f"{name}.png")
    page.close()
    with Image.open(folder / f"{name}.png") as picture:
        small = picture.convert("RGB").quantize(256)
    small.save(folder / f"{name}.png", optimize=True)


def main(
    bundle: Path,
    folder: Path,
    say: Annotated[list[str], typer.Option(help="What is said; by default of films.")] = SAID,
    likes: Annotated[list[str], typer.Option(help="Titles in the visitor's history.")] = LIKES,
) -> None:
    """Serve the bundle on a free port with a store of its own, and take the pictures."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as store, sync_playwright() as driver:
        chromium = shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"], env=os.environ | SHORT)
        command = ["latentcrs", "serve", str(bundle), "--port", str(port), "--db", f"{store}/talks.sqlite"]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            while not ready(address):
                time.sleep(0.3)
            with Client(address, key=None) as client:
                for title in likes:
                    client.remember("visitor", client.search(title, k=1)[0]["item_id"])
            for name in SIZES:
                still(browser, address, name, say, folder)
        finally:
            server.terminate()
            server.wait()


def ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    typer.run(main)
