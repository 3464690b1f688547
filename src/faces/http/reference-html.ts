// Text as HTML: nothing of it is ever markup.

const ESCAPES: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
export const html = (text: string): string => text.replace(/[&<>"']/g, (c) => ESCAPES[c] ?? c);

export const code = (text: string): string => `<code>${html(text)}</code>`;

/** Text with `code` in it. */
export const prose = (text: string): string => html(text).replace(/`([^`]+)`/g, "<code>$1</code>");

/** To an operation of the page. */
export const linkTo = (operation: string): string =>
  `<a href="#${html(operation)}">${html(operation)}</a>`;
