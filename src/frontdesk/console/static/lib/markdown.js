// Markdown to vnodes. Made for text nobody vouches for: it can only become the elements made here, and links only lead to
// http, https and mailto. HTML is text. Every search is bounded, so that no text takes more than a blink.
import { h } from "../vendor/preact-htm.js";

/** @import { Child, VNode } from "../vendor/preact-htm.js" */
/** @typedef {(number: number) => VNode | null} Cite the chip of citation `number`, null when there is no such citation */

const DEEPEST = 8; // lists in quotes in lists …: below that it stays text
const LONGEST = 50_000; // characters: beyond, plain text
const LINK_LONGEST = 2_000;

/**
 * @param {string} text
 * @param {Cite} [cite]
 * @returns {Child[]}
 */
export function markdown(text, cite = () => null) {
  if (text.length > LONGEST) return [h("p", { dir: "auto" }, text)];
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"), cite, 0);
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,12})([-*+•]|\d{1,9}[.)])[ \t]+(\S.*)$/;
const RULE = /^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const TABLE_RULE = /^\|?:?-+:?(?:\|:?-+:?)*\|?$/; // of a line without its blanks

/**
 * @param {string[]} lines
 * @param {Cite} cite
 * @param {number} depth
 * @returns {Child[]}
 */
function blocks(lines, cite, depth) {
  /** @type {Child[]} */
  const out = [];
  if (depth > DEEPEST) return [h("p", { dir: "auto" }, lines.join("\n"))];
  let i = 0;
  while (i < lines.length) {
    const line = at(lines, i);
    if (line.trim() === "") {
      i++;
      continue;
    }
    const fence = FENCE.exec(line)?.[1];
    const heading = HEADING.exec(line);
    if (fence) {
      const end = lines.findIndex((l, n) => n > i && l.trim().startsWith(fence));
      const last = end < 0 ? lines.length : end; // still being written: open until the end
      out.push(h("pre", { dir: "ltr", tabIndex: 0 }, h("code", null, lines.slice(i + 1, last).join("\n"))));
      i = last + 1;
    } else if (heading) {
      const level = Math.min(6, (heading[1] ?? "").length + 2); // the page's own headings stand above
      out.push(h(`h${level}`, { dir: "auto" }, ...inline(heading[2] ?? "", cite)));
      i++;
    } else if (RULE.test(line)) {
      out.push(h("hr", null));
      i++;
    } else if (QUOTE.test(line)) {
      const end = endOf(lines, i, (l) => QUOTE.test(l));
      const inner = lines.slice(i, end).map((l) => l.replace(QUOTE, ""));
      out.push(h("blockquote", { dir: "auto" }, ...blocks(inner, cite, depth + 1)));
      i = end;
    } else if (ITEM.test(line)) {
      const [list, end] = listAt(lines, i, cite, depth);
      out.push(list);
      i = end;
    } else if (line.includes("|") && isTableRule(at(lines, i + 1))) {
      const end = endOf(lines, i + 2, (l) => l.includes("|"));
      out.push(table(line, lines.slice(i + 2, end), cite));
      i = end;
    } else {
      const end = endOf(lines, i + 1, (l) => l.trim() !== "" && !startsBlock(l));
      out.push(h("p", { dir: "auto" }, ...broken(lines.slice(i, end), cite)));
      i = end;
    }
  }
  return out;
}

/**
 * A list and the line after it. Deeper indented lines belong to the item above them.
 * @param {string[]} lines
 * @param {number} start
 * @param {Cite} cite
 * @param {number} depth
 * @returns {[VNode, number]}
 */
function listAt(lines, start, cite, depth) {
  const first = /** @type {RegExpExecArray} */ (ITEM.exec(at(lines, start)));
  const indent = (first[1] ?? "").length;
  const isOrdered = /\d/.test(first[2] ?? "");
  /** @type {Child[]} */
  const items = [];
  let i = start;
  while (i < lines.length) {
    const item = ITEM.exec(at(lines, i));
    if (!item || (item[1] ?? "").length > indent + 1 || (item[1] ?? "").length < indent) break;
    if (/\d/.test(item[2] ?? "") !== isOrdered) break;
    const belongs = (/** @type {string} */ l) => /^ /.test(l) && l.search(/\S/) > indent && l.trim() !== "";
    const end = endOf(lines, i + 1, (l) => belongs(l));
    const inner = lines.slice(i + 1, end);
    const plain = inner.findIndex((l) => startsBlock(l));
    const own = plain < 0 ? inner : inner.slice(0, plain);
    // Indented under its item, a line goes on with the one above: writers of files wrap them so.
    const text = [item[3] ?? "", ...own.map((l) => l.trim())].join(" ");
    const rest = plain < 0 ? [] : inner.slice(plain).map((l) => l.slice(Math.min(indent + 2, l.search(/\S/))));
    items.push(h("li", { dir: "auto" }, ...inline(text, cite), ...blocks(rest, cite, depth + 1)));
    i = end;
    // One blank line between items keeps the list together.
    if (at(lines, i).trim() === "" && ITEM.test(at(lines, i + 1))) i++;
  }
  const from = Number.parseInt(first[2] ?? "1", 10);
  return [h(isOrdered ? "ol" : "ul", isOrdered && from !== 1 ? { start: from } : null, ...items), i];
}

/**
 * @param {string} head
 * @param {string[]} rows
 * @param {Cite} cite
 */
function table(head, rows, cite) {
  const titles = cells(head);
  const cell = (/** @type {string} */ tag) => (/** @type {string} */ text) =>
    h(tag, { dir: "auto" }, ...inline(text, cite));
  const body = rows.map((row) => h("tr", null, ...cells(row).slice(0, titles.length).map(cell("td"))));
  const header = h("thead", null, h("tr", null, ...titles.map(cell("th"))));
  // Wide tables scroll by themselves, by keyboard too; the page never scrolls sideways.
  return h("div", { class: "table", tabIndex: 0 }, h("table", null, header, h("tbody", null, ...body)));
}

/** @param {string} row */
function cells(row) {
  return row
    .trim()
    .replace(/^\|/, "")
    .replace(/\|$/, "")
    .split("|")
    .map((cell) => cell.trim());
}

/** @param {string} line */
function isTableRule(line) {
  return line.includes("|") && TABLE_RULE.test(line.replace(/[ \t]+/g, ""));
}

/** @param {string} line */
function startsBlock(line) {
  return FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || ITEM.test(line) || RULE.test(line);
}

/**
 * @param {string[]} lines
 * @param {number} start
 * @param {(line: string) => boolean} belongs
 */
function endOf(lines, start, belongs) {
  let end = start;
  while (end < lines.length && belongs(at(lines, end))) end++;
  return end;
}

/**
 * @param {string[]} lines
 * @param {number} i
 */
function at(lines, i) {
  return lines[i] ?? "";
}

/**
 * Lines as a person wrote them: in a conversation a line break is one.
 * @param {string[]} lines
 * @param {Cite} cite
 * @returns {Child[]}
 */
function broken(lines, cite) {
  /** @type {Child[]} */
  const out = [];
  for (const child of inline(lines.map((line) => line.trim()).join("\n"), cite)) {
    if (typeof child === "string") child.split("\n").forEach((part, n) => out.push(n > 0 && h("br", null), part));
    else out.push(child);
  }
  return out;
}

const ESCAPED = /[!-/:-@[-`{-~]/;
const PLAIN = /[^\\`*_~[!<hH@]+/y;
const BARE_LINK = /https?:\/\/[^\s<>"'`]{1,2000}/iy;
const BARE_MAIL = /[\w.+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}(?![\w@-])/iy;
const ANGLE_LINK = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/iy;
const CITATION = /\[(\d{1,3})\](?!\()/y;

/**
 * @param {string} text
 * @param {Cite} cite
 * @param {number} [depth]
 * @returns {Child[]}
 */
function inline(text, cite, depth = 0) {
  /** @type {Child[]} */
  const out = [];
  let plain = "";
  let i = 0;
  // A closing mark that was not found once is not looked for again: many open marks stay cheap.
  /** @type {Set<string>} */
  const absent = new Set();
  const put = (/** @type {Child} */ child, /** @type {number} */ next) => {
    if (plain) out.push(plain);
    plain = "";
    out.push(child);
    i = next;
  };
  const closing = (/** @type {string} */ mark, /** @type {number} */ from) => {
    if (absent.has(mark)) return -1;
    const end = text.indexOf(mark, from);
    if (end < 0) absent.add(mark);
    return end;
  };
  while (i < text.length) {
    const char = text[i] ?? "";
    const previous = text[i - 1] ?? " ";
    const run = match(PLAIN, text, i);
    if (char === "\\" && ESCAPED.test(text[i + 1] ?? "")) {
      plain += text[i + 1];
      i += 2;
      continue;
    }
    if (char === "`") {
      const mark = /** @type {string} */ (match(/`+/y, text, i)?.[0]);
      const end = closing(mark, i + mark.length);
      if (end > 0) {
        put(h("code", { dir: "ltr" }, text.slice(i + mark.length, end).trim()), end + mark.length);
        continue;
      }
      plain += mark;
      i += mark.length;
      continue;
    }
    if ((char === "*" || char === "_" || char === "~") && depth < DEEPEST) {
      const mark = text.startsWith(char + char, i) ? char + char : char;
      const end = char === "~" && mark.length === 1 ? -1 : emphasisEnd(text, mark, i, previous, closing);
      if (end > 0) {
        const tag = char === "~" ? "s" : mark.length === 2 ? "strong" : "em";
        put(h(tag, null, ...inline(text.slice(i + mark.length, end), cite, depth + 1)), end + mark.length);
        continue;
      }
      plain += mark;
      i += mark.length;
      continue;
    }
    if (char === "[" || (char === "!" && text[i + 1] === "[")) {
      const reference = match(CITATION, text, i);
      const chip = reference && cite(Number(reference[1]));
      if (chip) {
        put(chip, i + reference[0].length);
        continue;
      }
      const found = linkAt(text, char === "!" ? i + 1 : i);
      if (found) {
        const [label, url, next] = found;
        put(link(url, depth < DEEPEST ? inline(label, () => null, DEEPEST) : [label], text.slice(i, next)), next);
        continue;
      }
    }
    const angle = char === "<" ? match(ANGLE_LINK, text, i) : null;
    if (angle) {
      put(link(angle[1] ?? "", [angle[1] ?? ""], angle[0]), i + angle[0].length);
      continue;
    }
    if (!/[\p{L}\p{N}_]/u.test(previous)) {
      const bare = match(BARE_LINK, text, i)?.[0];
      if (bare) {
        const url = trimmed(bare);
        put(link(url, [url], url), i + url.length);
        continue;
      }
    }
    const at = char === "@" ? mailAround(text, i, plain) : null;
    if (at) {
      plain = plain.slice(0, plain.length - at.before);
      put(link(`mailto:${at.address}`, [at.address], at.address), i - at.before + at.address.length);
      continue;
    }
    plain += run ? run[0] : char;
    i += run ? run[0].length : 1;
  }
  if (plain) out.push(plain);
  return out;
}

/**
 * @param {RegExp} sticky
 * @param {string} text
 * @param {number} from
 */
function match(sticky, text, from) {
  sticky.lastIndex = from;
  return sticky.exec(text);
}

/**
 * Where the emphasis opened at `i` ends, or -1 when it is none.
 * @param {string} text
 * @param {string} mark
 * @param {number} i
 * @param {string} previous
 * @param {(mark: string, from: number) => number} closing
 */
function emphasisEnd(text, mark, i, previous, closing) {
  const from = i + mark.length;
  if (/\s/.test(text[from] ?? " ")) return -1;
  if (mark[0] === "_" && /[\p{L}\p{N}]/u.test(previous)) return -1; // snake_case
  for (let tries = 0, end = closing(mark, from + 1); end > 0 && tries < 20; tries++, end = closing(mark, end + 1)) {
    const isDouble = mark.length === 1 && (text[end + 1] === mark || text[end - 1] === mark);
    const isInWord = mark[0] === "_" && /[\p{L}\p{N}]/u.test(text[end + mark.length] ?? " ");
    if (!/\s/.test(text[end - 1] ?? " ") && !isDouble && !isInWord) return end;
  }
  return -1;
}

/**
 * `[label](url "title")` at `start`: label, address and the position after it.
 * @param {string} text
 * @param {number} start
 * @returns {[string, string, number] | null}
 */
function linkAt(text, start) {
  const window = text.slice(start, start + LINK_LONGEST);
  const middle = window.indexOf("](");
  if (middle < 1) return null;
  const label = window.slice(1, middle);
  if (label.includes("[") || label.includes("\n")) return null;
  let open = 1;
  for (let i = middle + 2; i < window.length; i++) {
    const char = window[i];
    if (char === "\n") return null;
    if (char === "(") open++;
    if (char === ")" && --open === 0) {
      const url = window.slice(middle + 2, i).trim().split(/\s/, 1)[0] ?? "";
      return [label, url.replace(/^<|>$/g, ""), start + i + 1];
    }
  }
  return null;
}

/**
 * The e-mail address whose @ stands at `i`, its beginning already in `plain`.
 * @param {string} text
 * @param {number} i
 * @param {string} plain
 */
function mailAround(text, i, plain) {
  const before = /[\w.+-]{1,64}$/.exec(plain.slice(-64))?.[0].length ?? 0;
  const address = before ? match(BARE_MAIL, text, i - before)?.[0] : null;
  return address ? { address, before } : null;
}

/** @param {string} url a bare one: without the sentence's own punctuation */
function trimmed(url) {
  const clean = url.replace(/[.,;:!?*_~]{1,50}$/, "");
  return clean.endsWith(")") && !clean.includes("(") ? clean.slice(0, -1) : clean;
}

/**
 * @param {string} url
 * @param {Child[]} label
 * @param {string} source what stands there when the address is not one that we follow
 */
function link(url, label, source) {
  const href = safeAddress(url);
  if (!href) return source;
  return h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, ...label);
}

/**
 * @param {string} url
 * @returns {string | null}
 */
export function safeAddress(url) {
  if (!URL.canParse(url)) return null; // also: relative to this page
  const parsed = new URL(url);
  return ["http:", "https:", "mailto:"].includes(parsed.protocol) ? parsed.href : null;
}
