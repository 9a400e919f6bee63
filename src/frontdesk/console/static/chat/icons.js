// The page's icons: 20 × 20, drawn in the colour of the text around them.
import { html } from "../vendor/preact-htm.js";

/** @param {string} path */
const icon = (path) => () => html`
  <svg class="icon" viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.6"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${path} /></svg>
`;

export const Send = icon("M10 16V4M4.500 9.500 10 4l5.500 5.500");
export const Down = icon("M10 4v12M4.500 10.500 10 16l5.500-5.500");
export const Close = icon("M5 5l10 10M15 5 5 15");
export const Compose = icon("M9 4H5.500A2.500 2.500 0 0 0 3 6.500v8A2.500 2.500 0 0 0 5.500 17h8a2.500 2.500 0 0 0 2.500-2.500V11M8 12l.6-2.700 6.800-6.800 2.100 2.100-6.800 6.800z");
export const Sun = icon("M10 6.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM10 1.800v1.400M10 16.800v1.400M1.800 10h1.400M16.800 10h1.400M4.200 4.200l1 1M14.800 14.800l1 1M4.200 15.800l1-1M14.800 5.200l1-1");
export const Moon = icon("M16.500 12A7 7 0 0 1 8 3.500a7 7 0 1 0 8.500 8.500z");
export const Half = icon("M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14M10 6.500h5.500M10 10h6.800M10 13.500h5.500");
export const Alarm = icon("M10 3 2.500 16.200h15zM10 8v4M10 14.200v.1");
export const Person = icon("M10 10a3.200 3.200 0 1 0 0-6.400 3.200 3.200 0 0 0 0 6.400zM3.800 17a6.200 6.200 0 0 1 12.400 0");
export const Page = icon("M5.500 2.500h6l3.500 3.500v11.500h-9.500zM11.500 2.500V6H15M8 10h4.500M8 13h4.500");
export const Warning = icon("M10 2.800a7.200 7.200 0 1 0 0 14.400 7.200 7.200 0 0 0 0-14.400zM10 6.500v4.300M10 13.400v.1");
export const ThumbUp = icon("M6.500 9 9.700 2.800a1.700 1.700 0 0 1 1.700 1.900L11 8h4.200a1.600 1.600 0 0 1 1.600 1.900l-1 5.300a1.600 1.600 0 0 1-1.600 1.300H6.500zM6.500 9H3.500v7.500h3");
export const ThumbDown = icon("M13.500 11l-3.200 6.200a1.700 1.700 0 0 1-1.700-1.900L9 12H4.800a1.600 1.600 0 0 1-1.600-1.900l1-5.300A1.600 1.600 0 0 1 5.800 3.500h7.700zM13.500 11h3V3.500h-3");
