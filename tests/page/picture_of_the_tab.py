"""The README's picture: the Privacy tab of `make demo`'s logs. `python tests/page/picture_of_the_tab.py` after the demo."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import open_browser, serve_tensorboard

WIDTH, HEIGHT = 1440, 1350


def main(logs=ROOT / "demo" / "logs", path=ROOT / "docs" / "privacy_tab.png"):
    """Takes the picture, of two attacks at the last epoch."""
    with serve_tensorboard(logs) as address, open_browser() as browser, browser.page(WIDTH, HEIGHT) as watched:
        page = watched.open(f"{address}#privacy")
        frame = page.wait_for_selector("iframe[src*='name=privacy']").content_frame()
        frame.wait_for_selector("html[data-painted]", state="attached")
        for attack in ("correct", "modified_entropy"):
            frame.get_by_label(f"attack {attack} in all runs").uncheck()
        page.wait_for_timeout(1_500)
        watched.screenshot(path)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
