#!/usr/bin/env python3
"""docs/story.svg: a terminal that has just played the main job. Made, not drawn:

    cargo run -- sandbox --once | docs/picture.py > docs/story.svg

Acts 2, 4 and 6 are shown, as they were printed, cut at 104 columns.
"""
import html
import re
import sys

ACTS, WIDTH, LINE, LEFT, TOP = ("2", "4", "6"), 104, 20, 16, 52


def shown(text):
    keep, lines = False, []
    for line in text.splitlines():
        act = re.match(r"\s*Act (\d)", line)
        if act:
            keep = act[1] in ACTS
        if re.match(r"\s*\d+ steps in ", line):
            keep = True
        if keep:
            lines.append(line[:WIDTH])
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def colour(line):
    if re.match(r"\s*Act ", line):
        return "#7fb8ff"
    if "✓" in line:
        return "#d8dee9"
    return "#8a94a6"


def main():
    lines = ["$ ephemerald sandbox --once", "", *shown(sys.stdin.read())]
    if len(lines) < 10:
        sys.exit("this is not the story: pipe the output of `ephemerald sandbox --once` into it")
    height = TOP + LINE * len(lines) + 12
    width = LEFT * 2 + int(WIDTH * 8.2)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
          f'aria-label="A terminal: the main job is played and each step verified">')
    print(f'<rect width="{width}" height="{height}" rx="10" fill="#1b2130"/>')
    for i, dot in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        print(f'<circle cx="{22 + 20 * i}" cy="22" r="6" fill="{dot}"/>')
    print('<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13.5" xml:space="preserve">')
    for i, line in enumerate(lines):
        text = html.escape(line).replace("✓", '<tspan fill="#5fd38d">✓</tspan>')
        print(f'<text x="{LEFT}" y="{TOP + LINE * i}" fill="{colour(line)}">{text}</text>')
    print("</g>\n</svg>")


main()
