// The page's own words in the visitor's language. English is the one that is always there.
import { words as english } from "../words/en.js";

/** @import { Words } from "../words/en.js" */

/** @type {Record<string, () => Promise<{ words: Words }>>} */
const OTHERS = {
  de: () => import("../words/de.js"),
  es: () => import("../words/es.js"),
  fr: () => import("../words/fr.js"),
  id: () => import("../words/id.js"),
  pt: () => import("../words/pt.js"),
};

/** @typedef {(name: keyof Words, values?: Record<string, string | number>) => string} Say */

/**
 * The language among ours that the visitor likes best, and what says things in it.
 * @param {readonly string[]} wished BCP 47, best first
 * @returns {Promise<{ language: string, say: Say }>}
 */
export async function wordsFor(wished) {
  const short = wished.map((tag) => tag.toLowerCase().split("-")[0] ?? "");
  const language = short.find((tag) => tag === "en" || tag in OTHERS) ?? "en";
  const words = await loaded(language);
  return {
    language,
    say: (name, values = {}) => words[name].replace(/\{(\w+)\}/g, (place, key) => String(values[key] ?? place)),
  };
}

/** @param {string} language */
async function loaded(language) {
  try {
    return (await OTHERS[language]?.())?.words ?? english;
  } catch {
    return english; // the connection broke just now: better English than nothing
  }
}
