// What may be bound to a statement: the same on every engine, checked before the engine sees it.
import { CadreError } from "../errors.ts";
import type { SqlValue } from "./store.ts";

/**
 * Refuses what an engine would bend in silence: an object (node:sqlite takes a first one as a bag
 * of named parameters), NaN (stored as NULL), an integer that is not exact, and the character
 * U+0000 in text, which Postgres can't store. The last is the caller's input: `invalid_input`.
 */
export function checkParams(params: readonly SqlValue[]): void {
  for (const value of params) {
    switch (typeof value) {
      case "string":
        if (value.includes("\0")) throw nulInText(value);
        continue;
      case "number":
        if (!Number.isFinite(value)) throw new TypeError(`${value} can't be bound to a statement.`);
        if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
          throw new TypeError(`${value} is past 2^53 and would not be stored exactly.`);
        }
        continue;
      default:
        if (value === null || value instanceof Uint8Array) continue;
        throw new TypeError(`A value of type ${typeof value} can't be bound to a statement.`);
    }
  }
}

function nulInText(text: string): CadreError {
  const at = text.indexOf("\0");
  return new CadreError(
    "invalid_input",
    `A text holds the character U+0000 (at ${at}), which can't be stored. Remove it, or store the content as a file.`,
    { details: { at } },
  );
}
