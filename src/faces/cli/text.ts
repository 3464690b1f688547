// Text as a terminal shows it: how wide it is, how it is cut, and what must never reach it raw.

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
const ASCII = /^[ -~]*$/;
const EMOJI = /\p{Emoji_Presentation}|\p{Emoji}\uFE0F/u;
/** Any control character before the bracket: in our own painted lines it is always Escape. */
const COLOUR = /(\p{Control}\[\d+m)/u;
const INVISIBLE = /^(?:\p{Mark}|\p{Format})+$/u;

/** First and last code points of the blocks whose characters take two cells (Unicode UAX 11). */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x20000, 0x3fffd],
];

function cellsOf(grapheme: string): number {
  if (INVISIBLE.test(grapheme)) return 0;
  if (EMOJI.test(grapheme)) return 2;
  const code = grapheme.codePointAt(0) ?? 0;
  return WIDE.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
}

/** How many cells clean text takes on one line. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += cellsOf(segment);
  return width;
}

/** As many graphemes from the start as fit in `width` cells. */
function headOf(text: string, width: number): string {
  let kept = "";
  let left = width;
  for (const { segment } of segmenter.segment(text)) {
    left -= cellsOf(segment);
    if (left < 0) break;
    kept += segment;
  }
  return kept;
}

/** Cut at the end: for titles and sentences, which say most at their start. */
export function cut(text: string, width: number, mark = "…"): string {
  if (widthOf(text) <= width) return text;
  if (width <= mark.length) return headOf(text, width);
  return headOf(text, width - mark.length).trimEnd() + mark;
}

/** Cut in the middle: for ids and paths, which differ at their end. */
export function cutMiddle(text: string, width: number, mark = "…"): string {
  if (widthOf(text) <= width) return text;
  if (width <= mark.length + 1) return headOf(text, width);
  const front = Math.floor((width - mark.length) / 2);
  const graphemes = [...segmenter.segment(text)].map(({ segment }) => segment);
  let tail = "";
  let left = width - mark.length - front;
  for (const grapheme of graphemes.reverse()) {
    left -= cellsOf(grapheme);
    if (left < 0) break;
    tail = grapheme + tail;
  }
  return headOf(text, front) + mark + tail;
}

/** The same for a line that is already painted: colours take no cell, and are switched off after. */
export function cutPainted(line: string, width: number): string {
  const parts = line.split(COLOUR);
  const visible = parts.filter((_, i) => i % 2 === 0).join("");
  if (widthOf(visible) <= width) return line;
  let left = width;
  let kept = "";
  for (const [i, part] of parts.entries()) {
    const text = i % 2 === 0 ? headOf(part, left) : part;
    if (i % 2 === 0) left -= widthOf(text);
    kept += text;
  }
  return kept;
}

/** Filled with spaces on the right to `width` cells; longer text stays as it is. */
export const padEnd = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - widthOf(text)));

/** Filled with spaces on the left. */
export const padStart = (text: string, width: number): string =>
  " ".repeat(Math.max(0, width - widthOf(text))) + text;

/** Words set in lines of at most `width` cells; a word longer than a line is left whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      const joined = line === "" ? word : `${line} ${word}`;
      if (line !== "" && widthOf(joined) > width) {
        lines.push(line);
        line = word;
      } else {
        line = joined;
      }
    }
    lines.push(line);
  }
  return lines;
}

const LIST_ITEM = /^(\s*)(?:[-*+]|\d+[.)])\s+/;
/** Lines that stand for themselves: headings, tables, fences, code. */
const OWN_LINE = /^(?:#|\||```|~~~|>| {4}|\t)/;

/**
 * Prose set anew: lines that were broken elsewhere are joined, list items keep their indent under
 * the mark. What is fenced or set in as code stays as it was written.
 */
export function reflow(text: string, width: number): string[] {
  const paragraphs: string[] = [];
  let isFenced = false;
  let canGrow = false;
  for (const line of text.split("\n")) {
    const isFence = /^\s*(?:```|~~~)/.test(line);
    const isOwn =
      isFenced || isFence || line.trim() === "" || OWN_LINE.test(line) || LIST_ITEM.test(line);
    if (isFence) isFenced = !isFenced;
    if (canGrow && (!isOwn || /^ {2,}[^\s-*+\d]/.test(line))) {
      paragraphs.push(`${paragraphs.pop() ?? ""} ${line.trim()}`);
      continue;
    }
    paragraphs.push(line);
    canGrow = LIST_ITEM.test(line) ? !isFenced : !isOwn;
  }
  return paragraphs.flatMap((paragraph) => hung(paragraph, width));
}

function hung(paragraph: string, width: number): string[] {
  const item = LIST_ITEM.exec(paragraph)?.[0] ?? "";
  const indent = " ".repeat(item.length);
  const lines = wrap(paragraph.slice(item.length), width - item.length);
  return lines.map((line, i) => (i === 0 ? item : indent) + line);
}

// ---- What others wrote --------------------------------------------------------------------

const ESC = 0x1b;
const BELL = 0x07;
/** The one-character forms of `ESC [` and of `ESC ]`, `ESC P`, `ESC X`, `ESC ^`, `ESC _`. */
const CSI = 0x9b;
const STRING_STARTS = new Set([0x90, 0x98, 0x9d, 0x9e, 0x9f]);
const STRING_END = 0x9c;
/** They turn the order of what follows around: a title could show what it does not say. */
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text of a model, a tool or a person made safe to print: escape sequences are dropped, control
 * characters made visible, marks of writing direction removed. Line breaks stay, tabs are spaces.
 */
export function cleanLines(text: string): string {
  let safe = "";
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === ESC || code === CSI || STRING_STARTS.has(code)) {
      i = endOfSequence(text, i);
    } else if (code === 0x0a) {
      safe += "\n";
    } else if (code === 0x09) {
      safe += "  ";
    } else if (code === 0x0d || code === 0x2028 || code === 0x2029) {
      // A lone carriage return would overwrite the line; before a line break it says nothing.
      safe += text.charCodeAt(i + 1) === 0x0a ? "" : "\n";
    } else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
      safe += "\ufffd";
    } else {
      safe += text.charAt(i);
    }
  }
  return safe.replace(DIRECTION, "");
}

/** The same on one line: every run of white space is one space. */
export const clean = (text: string): string => cleanLines(text).replace(/\s+/gu, " ").trim();

/** The index of the last character of the escape sequence that starts at `start`. */
function endOfSequence(text: string, start: number): number {
  const first = text.charCodeAt(start);
  const second = text.charAt(start + 1);
  if (first === CSI || (first === ESC && second === "[")) {
    let i = start + (first === CSI ? 1 : 2);
    // Parameters and intermediates, then one final character.
    while (i < text.length && text.charCodeAt(i) >= 0x20 && text.charCodeAt(i) <= 0x3f) i++;
    return i;
  }
  if (first === ESC && !"]PX^_".includes(second)) return second === "" ? start : start + 1;
  let i = start + 1;
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === BELL || code === STRING_END) return i;
    if (code === ESC && text.charAt(i + 1) === "\\") return i + 1;
    // An unfinished one must not swallow all that follows.
    if (code === 0x0a) return i - 1;
  }
  return i;
}
