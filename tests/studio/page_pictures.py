"""Pictures of pages that machines agree upon: one font, no clock, and no finer than a block.

A block is the mean colour of 10 by 10 pixels: letters are a texture in it, and what machines draw
otherwise (the smoothing of letters) is not seen. Where a page's layout or colours are another,
whole groups of blocks are.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Route

BLOCK = 10  # pixels
HEIGHT = 1440  # of a window
_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
_NAMES = {"Pinned": ("DejaVuSans", "DejaVuSans-Bold"), "PinnedMono": ("DejaVuSansMono",) * 2}
_FAR = 20  # of 255, in one of the three colours: what smoothing does not move a block by
_TINGE = 12  # of 255, of red or blue beside green: smoothing moves a block by none of it
_MANY = 8  # blocks of those that are seen at once below
_NEAR = 7  # blocks, the side of what is looked at together

# What differs from run to run is made one: times, names of runs, digests, durations and sizes.
SETTLE = r"""() => {
  const swaps = [
    [/\b\d{8}-\d{6}-[0-9a-f]{4}\b/g, "20260102-030405-abcd"],
    [/\b(?!20260102-)(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b/g,
      (word) => "a1".repeat(32).slice(0, word.length)],
    [/\b\d+(\.\d+)?\s(ms|s|min|minutes?|seconds?)( \d+ s)?(?![\w/])/g, "1.0 s"],
    [/\b\d+(\.\d+)?\s(B|kB|MB|GB)\b/g, "1.0 kB"],
  ];
  for (const time of document.querySelectorAll("time")) {
    time.textContent = time.dataset.form ? "2 Jan 2026, 03:04" : "2 minutes ago";
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) for (const [what, word] of swaps) {
    const text = texts.currentNode.data.replace(what, word);
    if (text !== texts.currentNode.data) texts.currentNode.data = text;
  }
}"""
# Bars are as long as something took, and what took no time is not listed.
STILL = """*, *::before, *::after { animation: none !important; transition: none !important;
  caret-color: transparent !important; }
.spent, .graph .time { display: none !important; }"""

# Faults that no picture is needed for: what overlaps, what is cut off, what nobody can read.
FAULTS = """() => {
  const faults = [], pieces = [];
  const windows = new Map();
  const windowOf = (element) => {  // within which its texts are seen, null for nowhere
    if (!element) return { left: -1e9, top: -1e9, right: 1e9, bottom: 1e9 };
    if (!windows.has(element)) windows.set(element, look(element));
    return windows.get(element);
  };
  const look = (element) => {
    const style = getComputedStyle(element), above = windowOf(element.parentElement);
    if (!above || style.clipPath !== "none" || style.visibility === "hidden") return null;
    if (style.overflowX === "visible" && style.overflowY === "visible") return above;
    if (element === document.body || element === document.documentElement) return above;
    const frame = element.getBoundingClientRect();
    return {
      left: Math.max(above.left, frame.left), right: Math.min(above.right, frame.right),
      top: Math.max(above.top, frame.top), bottom: Math.min(above.bottom, frame.bottom),
    };
  };
  const clip = (element, box) => {
    const window = windowOf(element);
    if (!window) return null;
    const left = Math.max(box.left, window.left), right = Math.min(box.right, window.right);
    const top = Math.max(box.top, window.top), bottom = Math.min(box.bottom, window.bottom);
    return right - left > 1 && bottom - top > 1 ? { left, top, right, bottom } : null;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode, element = node.parentElement, range = new Range();
    if (!node.data.trim() || element.closest("script, style, option, .bar, .skip")) continue;
    if (!element.checkVisibility()) continue;  // in a fold that is closed
    range.selectNodeContents(node);
    const words = node.data.trim().slice(0, 40);
    for (const line of range.getClientRects()) {
      const box = clip(element, line);
      if (box) pieces.push({ ...box, words, node });
      if (box && box.right > innerWidth + 1) faults.push(`off the page: ${words}`);
    }
    const size = parseFloat(getComputedStyle(element).fontSize);
    if (size < 10 && range.getClientRects().length) faults.push(`${size}px: ${words}`);
  }
  pieces.sort((one, other) => one.top - other.top);
  for (let a = 0; a < pieces.length; a++) for (let b = a + 1; b < pieces.length; b++) {
    const one = pieces[a], other = pieces[b];
    if (other.top > one.bottom) break;
    if (one.node === other.node) continue;
    const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    if (wide > 4 && high > 6) faults.push(`overlap: ${one.words} | ${other.words}`);
  }
  for (const element of document.querySelectorAll("main :not(tr, tbody, thead)")) {
    const style = getComputedStyle(element), beyond = element.scrollWidth - element.clientWidth;
    if (style.display === "inline" || style.overflowX !== "visible") continue;
    if (element.closest("svg, .hidden") || !element.checkVisibility()) continue;
    const name = `${element.tagName}.${element.className}`;
    if (element.clientWidth && beyond > 2) faults.push(`wider than its box by ${beyond}: ${name}`);
  }
  return [...new Set(faults)];
}"""


def pin_fonts(context: BrowserContext, spoil: Callable[[str], str] = str) -> None:
    """Let the pages of a context have the fonts of a Python package, whatever the machine has;
    ``spoil`` is what becomes of the sheet."""
    rules = [STILL, "*, *::before, *::after { font-family: Pinned !important; }"]
    rules += ["code, pre, kbd, .mono, code *, pre * { font-family: PinnedMono !important; }"]
    for family, files in _NAMES.items():
        for file, weight in zip(files, ("100 500", "501 900"), strict=True):
            source = f"url(/assets/pinned/{file}.ttf)"
            rules.append(
                f"@font-face {{ font-family: {family}; src: {source}; font-weight: {weight}; }}"
            )

    def add_rules(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=spoil(answer.text()) + "\n" + "\n".join(rules))

    def send_font(route: Route) -> None:
        route.fulfill(body=(_FONTS / route.request.url.rpartition("/")[2]).read_bytes())

    context.route("**/assets/studio.css*", add_rules)
    context.route("**/assets/pinned/*", send_font)


@dataclass(frozen=True)
class Seen:
    """A page as it is seen: the picture, and its blocks (rows, columns, red-green-blue)."""

    picture: Image.Image
    blocks: numpy.ndarray


def take_picture(page: Page) -> Seen:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    wide, high = (side // BLOCK for side in picture.size)
    whole = picture.crop((0, 0, wide * BLOCK, high * BLOCK))
    means = numpy.asarray(whole.reduce(BLOCK), dtype=float)
    # Some steps of a colour: a file of some kB.
    return Seen(picture, (numpy.round(means / 4) * 4).clip(0, 255).astype(numpy.uint8))


def keep_picture(seen: Seen, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(seen.blocks).save(path, optimize=True)


def compare_pictures(seen: Seen, kept: Path) -> numpy.ndarray:
    """Which blocks are others in a way that is seen: many of those that lie together."""
    before = numpy.asarray(Image.open(kept).convert("RGB"), dtype=int)
    if before.shape != seen.blocks.shape:
        return numpy.ones(seen.blocks.shape[:2], dtype=bool)
    change = seen.blocks.astype(int) - before
    tinge = numpy.abs(change[:, :, [0, 2]] - change[:, :, [1]]).max(axis=2)
    far = (numpy.abs(change).max(axis=2) > _FAR) | (tinge > _TINGE)
    padded = numpy.pad(far, _NEAR // 2)
    windows = numpy.lib.stride_tricks.sliding_window_view(padded, (_NEAR, _NEAR))
    return far & (windows.sum(axis=(2, 3)) >= _MANY)


def frame_blocks(seen: Seen, kept: Path, others: numpy.ndarray, path: Path) -> None:
    """Write the picture with the blocks that differ in red, and beside it what was kept."""
    pixels = numpy.array(seen.picture)
    red = numpy.kron(others, numpy.ones((BLOCK, BLOCK), dtype=bool))
    part = pixels[: red.shape[0], : red.shape[1]]
    part[red] = part[red] // 2 + numpy.array([127, 0, 0], dtype=numpy.uint8)
    before = Image.open(kept).convert("RGB").resize(seen.picture.size, Image.Resampling.NEAREST)
    both = numpy.concatenate([pixels, numpy.asarray(before)], axis=1)
    Image.fromarray(both).save(path)
