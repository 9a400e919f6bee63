// Phone numbers that call when they are pressed: in an emergency nobody should have to type one.
import { h } from "../vendor/preact-htm.js";

/** @import { Child, VNode } from "../vendor/preact-htm.js" */

// 112, 116 123, 020 912 0100, +353 1 234 5678: groups of digits that nothing makes a time, a price or a date.
const NUMBER = /(?<![\p{L}\d.,:/€$£+–-])(?:\+\d{1,3}|\d{3,})(?: \d{1,5}){0,5}(?![\p{L}\d:/€$£%–-]|[.,]\d)/gu;
const DIGITS = /^\+?\d{3,15}$/;

/**
 * The same content with its phone numbers as links.
 * @param {Child[]} content
 * @returns {Child[]}
 */
export function dialable(content) {
  return content.flatMap((child) => {
    if (typeof child === "string") return linked(child);
    if (Array.isArray(child)) return dialable(child);
    return isElement(child) && child.type !== "a" && child.type !== "code" ? [within(child)] : [child];
  });
}

/** @param {string} text */
function linked(text) {
  /** @type {Child[]} */
  const out = [];
  let from = 0;
  for (const { 0: number, index } of text.matchAll(NUMBER)) {
    const digits = number.replaceAll(" ", "");
    if (!DIGITS.test(digits)) continue;
    out.push(text.slice(from, index), h("a", { class: "call", href: `tel:${digits}` }, number));
    from = index + number.length;
  }
  return [...out, text.slice(from)];
}

/** @param {VNode} element */
function within({ type, props: { children, ...rest } }) {
  return h(type, rest, ...dialable([/** @type {Child} */ (children)]));
}

/**
 * @param {Child} child
 * @returns {child is VNode}
 */
function isElement(child) {
  return typeof child === "object" && child !== null && !Array.isArray(child);
}
