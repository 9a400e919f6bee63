// A QR code as SVG, drawn here: the secret in it goes nowhere else.
import { generate } from "../vendor/lean-qr.js";
import { html, useMemo } from "../vendor/preact-htm.js";

const QUIET = 4; // empty modules around it (ISO/IEC 18004)

/** @param {{ text: string, label: string }} props */
export function QR({ text, label }) {
  const [path, size] = useMemo(() => drawn(text), [text]);
  return html`
    <svg class="qr" role="img" aria-label=${label} viewBox=${`0 0 ${size} ${size}`} shape-rendering="crispEdges">
      <rect width=${size} height=${size} fill="#fff" /><path d=${path} fill="#000" />
    </svg>
  `;
}

/**
 * The dark modules as one path, and the length of a side.
 * @param {string} text
 * @returns {[string, number]}
 */
function drawn(text) {
  const bitmap = generate(text);
  let path = "";
  for (let y = 0; y < bitmap.size; y++) {
    for (let x = 0; x < bitmap.size; x++) {
      if (bitmap.get(x, y)) path += `M${x + QUIET} ${y + QUIET}h1v1h-1z`;
    }
  }
  return [path, bitmap.size + 2 * QUIET];
}
