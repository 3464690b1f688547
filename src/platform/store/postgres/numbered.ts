// The house's SQL has `?`; Postgres wants `$1`, `$2`, ...

/** The same text with numbered parameters. A `?` in a literal, a quoted name or a comment stays. */
export function numbered(sql: string): string {
  let number = 0;
  return sql.replace(/'[^']*'|"[^"]*"|--[^\n]*|\?/g, (found) => {
    if (found !== "?") return found;
    number += 1;
    return `$${number}`;
  });
}
