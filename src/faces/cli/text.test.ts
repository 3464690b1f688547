import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clean, cleanLines, cut, cutMiddle, cutPainted, padEnd, widthOf, wrap } from "./text.ts";

const ESC = "\u001b";

test("wide and invisible characters are counted in cells, not in code units", () => {
  const widths = ["abc", "日本", "e\u0301", "👩‍👩‍👧", "한글", "…", "◐", ""].map(widthOf);

  assert.deepEqual(widths, [3, 4, 1, 2, 4, 1, 1, 0]);
});

test("titles are cut at their end, ids and paths in their middle", () => {
  assert.equal(cut("Token-bucket core, Redis", 12), "Token-bucke…");
  assert.equal(cutMiddle("src/limit/token/bucket.ts", 15), "src/lim…cket.ts");
  assert.equal(cut("日本語のタイトル", 7), "日本語…");
});

test("whatever is cut or padded fits its width", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 3, max: 40 }), (text, width) => {
      const line = clean(text);
      return (
        widthOf(cut(line, width)) <= width &&
        widthOf(cutMiddle(line, width)) <= width &&
        widthOf(padEnd(cut(line, width), width)) === width
      );
    }),
  );
});

test("no text of others can carry a control character to the terminal", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const safe = cleanLines(text);
      return !/[\p{Control}\u2028\u2029\u202e\u2066]/u.test(safe.replaceAll("\n", ""));
    }),
  );
});

test("escape sequences are dropped whole, the words around them stay", () => {
  const cases: readonly (readonly [string, string])[] = [
    [`a${ESC}[31mred${ESC}[0m b`, "ared b"],
    [`${ESC}]0;new window title\u0007after`, "after"],
    [`${ESC}]8;;http://evil.example${ESC}\\link${ESC}]8;;${ESC}\\`, "link"],
    [`${ESC}[2J${ESC}[Hgone`, "gone"],
    ["one\rtwo", "one two"],
    ["a\u009b31mb", "ab"],
    [`${ESC}]unfinished\nnext line`, "next line"],
    ["bell\u0007", "bell\ufffd"],
    ["evil\u202Etxt.exe", "eviltxt.exe"],
  ];

  for (const [given, expected] of cases) assert.equal(clean(given), expected);
});

test("a painted line is cut by what can be seen of it", () => {
  const line = `${ESC}[34mblue${ESC}[0m and more`;

  assert.equal(cutPainted(line, 6), `${ESC}[34mblue${ESC}[0m a`);
  assert.equal(cutPainted(line, 20), line);
});

test("words are set in lines that fit, and a word longer than a line is left whole", () => {
  assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  assert.deepEqual(wrap("https://example.com/a/b c", 10), ["https://example.com/a/b", "c"]);
});
