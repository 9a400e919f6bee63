// Light, dark, or as the system says.
import { useState } from "../vendor/preact-htm.js";

/** @typedef {"auto" | "light" | "dark"} Theme */

/** @type {Theme[]} */
const THEMES = ["auto", "light", "dark"];
const KEY = "frontdesk.theme";

/**
 * The theme and what switches to the next one.
 * @returns {[Theme, () => void]}
 */
export function useTheme() {
  const root = document.documentElement;
  const [theme, setTheme] = useState(() => THEMES.find((name) => name === root.dataset["theme"]) ?? "auto");
  const next = () => {
    const chosen = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
    if (chosen === "auto") delete root.dataset["theme"];
    else root.dataset["theme"] = chosen;
    try {
      localStorage.setItem(KEY, chosen);
    } catch {
      // storage is forbidden: it holds until the page is closed
    }
    setTheme(chosen);
  };
  return [theme, next];
}
