// Preact, its hooks and htm as the one import of every component.
import { Fragment, h, render } from "./preact.js";
import { useCallback, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState } from "./hooks.js";
import htm from "./htm.js";

export const html = htm.bind(h);
export {
  Fragment,
  h,
  render,
  useCallback,
  useEffect,
  useErrorBoundary,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
};
