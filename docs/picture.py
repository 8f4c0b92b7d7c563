#!/usr/bin/env python3
"""docs/story.svg: a terminal that has just played the main job. Made, not drawn:

    cargo run -- sandbox --once | docs/picture.py > docs/story.svg

Acts 2, 4 and 6 are shown, as they were printed. `docs/picture.py --check docs/story.svg` reads the story in the same way
and fails if the picture was changed by hand, or if the story has other words by now: times and counts may differ.
"""
import html
import re
import sys

ACTS, WIDTH, LINE, LEFT, TOP = ("2", "4", "6"), 80, 20, 16, 52
COMMAND = "$ ephemerald sandbox --once"
TICK = '<tspan fill="#5fd38d">✓</tspan>'
# What is another in each run.
VARIES = (
    (r"\b\d+\.\d+s", "TIMEs"),
    (r"\b\d+ ms late", "N ms late"),
    (r"\b\d+ (records|requests)\b", r"N \1"),
    (r"\bin \d+ s,", "in N s,"),
)


def shown(text):
    keep, lines = False, []
    for line in text.splitlines():
        act = re.match(r"\s*Act (\d)", line)
        if act:
            keep = act[1] in ACTS
        if re.match(r"\s*\d+ steps in ", line):
            keep = True
        if keep:
            lines.append(line)
    while lines and not lines[-1].strip():
        lines.pop()
    lines = [COMMAND, "", *lines]
    if len(lines) < 10:
        sys.exit("this is not the story: pipe the output of `ephemerald sandbox --once` into it")
    wide = [line for line in lines if len(line) > WIDTH]
    if wide:
        sys.exit(f"wider than {WIDTH} columns: {wide[0]}")
    return lines


def colours(lines):
    """A step that goes on in a second line keeps its colour."""
    colour = "#8a94a6"
    for line in lines:
        if re.match(r"\s*Act ", line):
            colour = "#7fb8ff"
        elif "✓" in line:
            colour = "#d8dee9"
        elif not line.startswith(" " * 10):
            colour = "#8a94a6"
        yield colour


def picture(lines):
    height = TOP + LINE * len(lines) + 12
    width = LEFT * 2 + int(WIDTH * 8.2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="A terminal: the main job is played and each step verified">',
        f'<rect width="{width}" height="{height}" rx="10" fill="#1b2130"/>',
    ]
    for i, dot in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        parts.append(f'<circle cx="{22 + 20 * i}" cy="22" r="6" fill="{dot}"/>')
    parts.append('<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13.5" '
                 'xml:space="preserve">')
    for i, (line, colour) in enumerate(zip(lines, colours(lines))):
        text = html.escape(line).replace("✓", TICK)
        parts.append(f'<text x="{LEFT}" y="{TOP + LINE * i}" fill="{colour}">{text}</text>')
    return "\n".join([*parts, "</g>", "</svg>", ""])


def lines_of(drawn):
    found = re.findall(r"<text [^>]*>(.*)</text>", drawn)
    return [html.unescape(line.replace(TICK, "✓")) for line in found]


def words(lines):
    """Where a line is broken depends on how long its numbers are."""
    text = "\n".join(lines)
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return text.split()


def check(path, story):
    with open(path, encoding="utf-8") as file:
        drawn = file.read()
    lines = lines_of(drawn)
    if picture(lines) != drawn:
        sys.exit(f"{path} is not what docs/picture.py makes: was it changed by hand?")
    then, now = words(lines), words(story)
    if then != now:
        at = next((i for i, (a, b) in enumerate(zip(then, now)) if a != b), min(len(then), len(now)))
        def near(found):
            return " ".join(found[max(0, at - 4):at + 4])
        sys.exit(f"{path} shows another story than this one: it has {near(then)!r}, and now it is {near(now)!r}.\n"
                 "cargo run -- sandbox --once | docs/picture.py > docs/story.svg")


def main():
    story = shown(sys.stdin.read())
    if sys.argv[1:2] == ["--check"]:
        check(sys.argv[2], story)
    else:
        sys.stdout.write(picture(story))


main()
